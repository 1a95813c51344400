//! Where memory comes from, in every program of this workspace.
//!
//! The system's allocator keeps what one busy hour took: with a thread for each core and a pool for the disk, what is free
//! is spread over many arenas, of which only the top goes back. This one has few arenas, small slabs
//! and few free objects for each thread (`.cargo/config.toml` says how many), and a thread of its own, which gives back what was free for some seconds, also while all others rest.
//!
//! Promises: what is free goes back to the system within seconds. Does not: bound what is taken (permits do).

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
