//! A short blob at one node: two exchanges, on streams that others use before and after.
//!
//! Promises: its symbols go with its header, so a node is ready when it has them; between the exchanges no stream is
//! held, however long the ledger takes; no exchange waits for what another one does, so puts that share streams cannot
//! wait for each other. Does not: ask first whether the node has it; it is short.

use super::*;
use crate::asking::Loan;
use crate::network::Errand;

impl Sender {
    /// Brings the blob, and asks for its confirmation when told to.
    pub(super) async fn serve_short(
        &mut self,
        queue: &mut mpsc::Receiver<Command>,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), AskError> {
        let member = self.member;
        let report = async |input| drop(events.send(Event::Input(input)).await);
        if !self.was_ready {
            // Without room for bytes that nobody paid for yet, the node is as good as any, and gets them once they are paid.
            let stored = if self.bring().await? { BTreeSet::from([0]) } else { BTreeSet::new() };
            (self.was_ready, self.moved) = (true, Instant::now());
            report(Input::Ready { member, stored }).await;
        }
        let mut has_brought_again = false;
        loop {
            if self.command.is_none() {
                self.command = queue.recv().await;
                self.moved = Instant::now();
            }
            match &self.command {
                None => return Ok(()),
                Some(Command::Segment(segment, _)) => {
                    let segment = *segment;
                    if !self.bring().await? {
                        return Err(AskError::Refused(Refusal::Busy { retry_after_ms: 0 }));
                    }
                    (self.command, self.moved) = (None, Instant::now());
                    report(Input::Sent { member, segment }).await;
                }
                Some(Command::Finish(deletable)) => {
                    let asked = self.confirm(*deletable).instrument(debug_span!("confirm")).await;
                    if !has_brought_again
                        && matches!(asked, Err(AskError::Refused(Refusal::NotFound)))
                    {
                        // What was not paid for may be forgotten by now.
                        has_brought_again = true;
                        if !self.bring().await? {
                            return Err(AskError::Refused(Refusal::Busy { retry_after_ms: 0 }));
                        }
                        continue;
                    }
                    let (epoch, signature) = asked?;
                    (self.command, self.moved) = (None, Instant::now());
                    report(Input::Confirmed { member, epoch, signature }).await;
                }
            }
        }
    }

    /// Sends header and symbols, all at once: a node that has them forgets what it did not need. Whether it has them now; if
    /// not, it has no room for them.
    async fn bring(&self) -> Result<bool, AskError> {
        let mut lent = self.borrow(Errand::Bring).await?;
        let mut brought = self.bring_on(lent.stream()).await;
        if lent.had_ended(&brought) {
            lent = lent.renew().await?;
            brought = self.bring_on(lent.stream()).await;
        }
        if let Ok(true) = brought {
            lent.give_back();
        }
        brought
    }

    async fn bring_on(&self, stream: &mut Stream) -> Result<bool, AskError> {
        let Some(encoded) = &self.short else { return Err(nonsense()) };
        let sent = async {
            write_offer(stream, &self.header).await?;
            self.send(stream, 0, encoded).await
        };
        if let Err(error) = sent.await {
            return match refusal_behind(stream, error).await {
                AskError::Refused(Refusal::Busy { .. }) => Ok(false),
                error => Err(error),
            };
        }
        read_ready(stream, &self.header).await?;
        match stream.read_frame(LIST_FRAME_BYTES_MAX).await? {
            Reply::Stored { segment: 0 } => Ok(true),
            Reply::Refused(Refusal::Busy { .. }) => Ok(false),
            other => Err(unexpected(other)),
        }
    }

    /// Asks for the confirmation; it is not verified yet.
    async fn confirm(&self, deletable: Option<ObjectId>) -> Result<(Epoch, Signature), AskError> {
        let mut lent = self.borrow(Errand::Confirm).await?;
        let mut asked = self.ask_to_confirm(lent.stream(), deletable).await;
        if lent.had_ended(&asked) {
            lent = lent.renew().await?;
            asked = self.ask_to_confirm(lent.stream(), deletable).await;
        }
        if asked.is_ok() {
            lent.give_back();
        }
        asked
    }

    async fn ask_to_confirm(
        &self,
        stream: &mut Stream,
        deletable: Option<ObjectId>,
    ) -> Result<(Epoch, Signature), AskError> {
        let blob_id = *self.blob_id.as_bytes();
        let request = Request::Confirm { blob_id, deletable, trace: trace::current() };
        stream.write_frame(&request).await?;
        stream.flush().await?;
        confirmation(stream.read_frame(LIST_FRAME_BYTES_MAX).await?)
    }

    /// A stream to the node, in turn.
    async fn borrow(&self, errand: Errand) -> Result<Loan, AskError> {
        let peer = self.session.peer(self.member);
        Ok(self.session.asker().borrow(peer, errand, self.session.patience).await?)
    }
}
