//! The real binary, as an operator runs it: the demo, the tools, unsafe settings, `kill -9` and the graceful end.
//!
//! Every test has a folder of its own, an environment without anybody's settings, and ports the system chose.
//! `TILL_TEST_DATABASE` is `sqlite` (the default) or the URL of a PostgreSQL server whose user may create
//! databases: then every test has a database of its own there.

mod bodies;
mod browser;
mod campaigns;
mod canaries;
mod commands;
mod crash;
mod demo;
mod doctor;
mod failpoints;
mod harness;
mod logs;
mod processes;
mod proxy;
mod readme;
mod serve;
mod shutdown;
mod slow_clients;
mod staff;
mod start;
mod unsafe_settings;
mod verify;
mod worker;
