//! Join tickets from strangers: any text gives a ticket or an error, and what is a ticket has one text.
#![no_main]

use haulout_node::ticket::Ticket;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // As it is pasted.
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Ticket::read(text, 0);
    }
    // Under a right checksum: a slip of a random byte would never come so far.
    let text = Ticket::sealed(bytes);
    if let Ok(ticket) = Ticket::read(&text, 0) {
        assert_eq!(ticket.to_text().ok().as_deref(), Some(text.as_str()));
        for server in &ticket.chain.rpc {
            assert!(!server.contains('@') && !server.contains('?'), "{server}");
        }
    }
});
