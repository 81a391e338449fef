//! The `till` binary.

use std::process::ExitCode;

/// Fewer and cheaper allocations than the system's under many small requests.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    till::cli::run()
}
