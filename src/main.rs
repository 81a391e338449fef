//! The `till` binary.

use std::process::ExitCode;

/// Fewer and cheaper allocations than the system's under many small requests.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    till::cli::run()
}
