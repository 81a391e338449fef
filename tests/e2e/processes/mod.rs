//! Many processes on one PostgreSQL: killed, stopped and restarted under load, through a pooler, and through the
//! loss of the server itself. The goal is the same everywhere: one effect for each job, and no acknowledged order
//! lost. There is nothing to test here on SQLite, which one process holds.

mod failover;
mod pooler;
mod restart;
mod storm;
