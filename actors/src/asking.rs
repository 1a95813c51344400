//! The one place from which peers are asked: whoever wants something of them comes here.
//!
//! Promises: a question ends in an answer, a refusal, silence or a fault, and each is told in one way and remembered in one
//! place, for all that this process asks: who answers fast is asked first, who is silent last, who lies is blamed. Does not:
//! decide whom to ask, when to hedge or when to give up (machines of `haulout_protocol` do), or know what is asked.

mod asked;
mod asker;
mod clock;
mod failure;
mod inquiry;
mod stopwatch;

pub(crate) use self::asked::{Asked, Loan};
pub(crate) use self::asker::Asker;
pub(crate) use self::clock::Clock;
pub use self::failure::Obstacle;
pub(crate) use self::failure::{AskError, nonsense};
pub(crate) use self::inquiry::{Inquiry, Terms};
