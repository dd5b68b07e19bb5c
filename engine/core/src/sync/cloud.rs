//! The cloud's side of one node's session.

use std::collections::VecDeque;

use ledge_schemas::{NodeName, Seq, limits};

use super::edge::{digest_of, name, own_digests};
use super::flow::{Acked, Inbound, Outbound, Patience};
use super::message::{
    Ack, Beat, Confirm, Direction, DownPlan, DownVerdict, Hello, Message, Refuse, RefuseCode, UpVerdict,
    ViewDigest, Welcome,
};
use super::session_log::SessionLog;
use super::transfer::{Assembly, cut};
use super::{Answer, CloseReason, Command, Input, Lane, Note, Output, Session};
use crate::log::StoreError;
use crate::{Base, Row, Run, frame};

/// Heartbeats without a word from the edge after which the session is over.
const SILENT_BEATS: u64 = 3;
/// Milliseconds in which a handshake must be done.
const HANDSHAKE_MS: u64 = 10_000;

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    AwaitingHello,
    Answering,
    AwaitingConfirm(Box<(Hello, Welcome)>),
    Confirming(Box<(Hello, Welcome, Confirm)>),
    Live,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Hello,
    Confirm,
    AppendUp,
    InstallUp,
    AppendDown,
    Snapshot,
    Refold,
}

/// See the module. Made for one connection and dropped with it.
#[derive(Debug)]
pub struct CloudSession {
    /// Name in the peer's certificate.
    certified: NodeName,
    phase: Phase,
    session: u64,
    hello: Option<Hello>,
    up: Option<Inbound>,
    up_ack: Option<Ack>,
    down: Option<Outbound>,
    /// Receives what the cloud lost of `down`, through the given seq.
    offered: Option<(Inbound, Seq)>,
    arriving_up: Assembly,
    arriving_rows: Option<Assembly>,
    rows_taken: bool,
    commands: VecDeque<Asked>,
    heard_ms: u64,
    patience: Patience,
    refolded: bool,
}

impl Session for CloudSession {
    fn on(
        &mut self,
        now_ms: u64,
        _: u64,
        input: Input,
        log: &dyn SessionLog,
    ) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        match input {
            Input::Message(message) => {
                self.heard_ms = now_ms;
                self.message(message, log, &mut out)?;
            }
            Input::Done(result) => self.done(result, &mut out),
            Input::Wake => {}
            Input::Tick => self.tick(now_ms, &mut out),
        }
        self.pump(log, &mut out)?;
        Ok(out)
    }
}

impl CloudSession {
    /// Begins a session on a fresh connection whose certificate names this node.
    #[must_use]
    pub fn start(certified: NodeName, now_ms: u64) -> Self {
        Self {
            certified,
            phase: Phase::AwaitingHello,
            session: 0,
            hello: None,
            up: None,
            up_ack: None,
            down: None,
            offered: None,
            arriving_up: Assembly::default(),
            arriving_rows: None,
            rows_taken: false,
            commands: VecDeque::new(),
            heard_ms: now_ms,
            patience: Patience::new(now_ms),
            refolded: false,
        }
    }

    /// Whether frames flow.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// The session's number; 0 before the welcome.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.session
    }

    /// `down` events that the edge has durably; `None` before the session is live.
    #[must_use]
    pub fn down_acked(&self) -> Option<Seq> {
        self.down.as_ref().map(|down| down.proved)
    }

    fn close(&mut self, reason: CloseReason, out: &mut Vec<Output>) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            out.push(Output::Close(reason));
        }
    }

    /// Says why before closing.
    fn refuse(&mut self, refuse: Refuse, out: &mut Vec<Output>) {
        let reason = CloseReason::Refused(refuse.code, refuse.text.clone());
        out.push(Output::Send(Lane::Live, Message::Refuse(refuse)));
        self.close(reason, out);
    }

    fn fenced(&mut self, out: &mut Vec<Output>) {
        let text = "a newer session of this node is confirmed".to_owned();
        let refuse = Refuse { code: RefuseCode::Fenced, text, retry_after_ms: 1_000 };
        out.push(Output::Send(Lane::Live, Message::Refuse(refuse)));
        self.close(CloseReason::Fenced, out);
    }

    fn ask(&mut self, asked: Asked, command: Command, out: &mut Vec<Output>) {
        self.commands.push_back(asked);
        out.push(Output::Command(command));
    }

    fn message(
        &mut self,
        message: Message,
        log: &dyn SessionLog,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        match (message, &self.phase) {
            (_, Phase::Over) => {}
            (Message::Hello(hello), Phase::AwaitingHello) => {
                if hello.node != self.certified {
                    let text = format!("the certificate names {}, the hello {}", self.certified, hello.node);
                    self.refuse(Refuse { code: RefuseCode::Identity, text, retry_after_ms: 60_000 }, out);
                } else {
                    self.phase = Phase::Answering;
                    self.hello = Some((*hello).clone());
                    self.ask(Asked::Hello, Command::Hello(hello), out);
                }
            }
            (Message::Confirm(confirm), Phase::AwaitingConfirm(shake)) => {
                let (hello, welcome) = (**shake).clone();
                if confirm.session != welcome.session || confirm.up_log != hello.up.log_id {
                    let why = "confirm does not answer the welcome".to_owned();
                    self.close(CloseReason::Protocol(why), out);
                } else {
                    self.phase = Phase::Confirming(Box::new((hello, welcome, confirm.clone())));
                    self.ask(Asked::Confirm, Command::Confirm(confirm), out);
                }
            }
            // Sent right behind the confirm, before it is durable here: commands run in order.
            (Message::Frame { direction, frame }, Phase::Live | Phase::Confirming(_)) => {
                match frame::unpack(&frame) {
                    Ok(runs) => self.runs(direction, runs, out),
                    Err(error) => self.close(CloseReason::Protocol(error.to_string()), out),
                }
            }
            (Message::Base(chunk), Phase::Live | Phase::Confirming(_)) => {
                let arriving = match chunk.direction {
                    Direction::Up => &mut self.arriving_up,
                    Direction::Down => self.arriving_rows.get_or_insert_default(),
                };
                let direction = chunk.direction;
                match arriving.take(*chunk) {
                    Ok(None) => {}
                    Ok(Some((base, rows))) => self.whole(direction, base, rows, out),
                    Err(why) => self.close(CloseReason::Protocol(why), out),
                }
            }
            (Message::Overlay(overlay), Phase::Live | Phase::Confirming(_)) => {
                out.push(Output::Overlay { position: overlay.position, rows: overlay.rows });
            }
            (Message::Ack(ack), Phase::Live) => self.acked(ack, out),
            (Message::Ping(beat), Phase::Live) => {
                if let Some(ack) = beat.ack {
                    self.acked(ack, out);
                }
                self.compare(&beat.digests, log, out)?;
                let pong = Beat { number: beat.number, ack: self.up_ack, digests: own_digests(log)? };
                out.push(Output::Send(Lane::Liveness, Message::Pong(pong)));
            }
            (Message::WantBase, Phase::Live) => self.ask(Asked::Snapshot, Command::Snapshot, out),
            // An edge may have these under way when its session changes phase here.
            (Message::Ping(_) | Message::Ack(_), Phase::Confirming(_)) => {}
            (other, _) => {
                let why = format!("{} out of turn", name(&other));
                self.close(CloseReason::Protocol(why), out);
            }
        }
        Ok(())
    }

    fn runs(&mut self, direction: Direction, runs: Vec<Run>, out: &mut Vec<Output>) {
        let taken = match (direction, &mut self.up, &mut self.offered) {
            (Direction::Up, Some(up), _) => up.take(runs).map(|fresh| (Asked::AppendUp, fresh)),
            (Direction::Down, _, Some((offered, _))) => {
                offered.take(runs).map(|fresh| (Asked::AppendDown, fresh))
            }
            _ => Err("frame of a stream that was not agreed on".to_owned()),
        };
        match taken {
            Ok((asked, fresh)) => {
                if fresh.duplicates > 0 {
                    out.push(Output::Note(Note::Duplicate { events: fresh.duplicates }));
                }
                if !fresh.runs.is_empty() {
                    let session = self.session;
                    self.ask(asked, Command::Append { direction, session, runs: fresh.runs }, out);
                }
            }
            Err(why) => self.close(CloseReason::Protocol(why), out),
        }
    }

    /// A base arrived whole: of `up` to be installed, of `down` to be merged.
    fn whole(&mut self, direction: Direction, mut base: Base, rows: Vec<Row>, out: &mut Vec<Output>) {
        let session = self.session;
        match direction {
            Direction::Up => {
                let hello_log = self.hello.as_ref().map(|hello| hello.up.log_id);
                if hello_log != Some(base.log_id) {
                    let why = "base of a log that the hello did not name".to_owned();
                    return self.close(CloseReason::Protocol(why), out);
                }
                if self.up.is_some() {
                    // Came twice: it is installed already, or on its way.
                    return;
                }
                if let Phase::Confirming(shake) = &self.phase {
                    base.epoch = shake.1.up_epoch;
                }
                self.up = Some(Inbound::new(base.log_id, base.seq));
                self.ask(Asked::InstallUp, Command::Install { direction, session, base, rows }, out);
            }
            Direction::Down if self.rows_taken => {}
            Direction::Down => {
                self.rows_taken = true;
                self.ask(Asked::Snapshot, Command::Reconcile { session, rows }, out);
            }
        }
    }

    fn acked(&mut self, ack: Ack, out: &mut Vec<Output>) {
        let (Direction::Down, Some(down)) = (ack.direction, &mut self.down) else { return };
        if down.acked(ack.seq, ack.chain) == Acked::Differs {
            out.push(Output::Note(Note::ChainDiffers { direction: Direction::Down, seq: ack.seq }));
            let why = format!("acknowledgement of {} carries another chain", ack.seq);
            self.close(CloseReason::Protocol(why), out);
        }
    }

    fn done(&mut self, result: Result<Answer, StoreError>, out: &mut Vec<Output>) {
        let Some(asked) = self.commands.pop_front() else { return };
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                let text = error.to_string();
                let refuse = Refuse { code: RefuseCode::Store, text: text.clone(), retry_after_ms: 5_000 };
                out.push(Output::Send(Lane::Live, Message::Refuse(refuse)));
                return self.close(CloseReason::Store(text), out);
            }
        };
        match (asked, answer) {
            (_, Answer::Fenced) => self.fenced(out),
            (Asked::Hello, Answer::Hello(answer)) => match *answer {
                Err(refuse) => self.refuse(refuse, out),
                Ok(welcome) => {
                    let Some(hello) = self.hello.clone() else { return };
                    self.session = welcome.session;
                    out.push(Output::Send(Lane::Live, Message::Welcome(Box::new(welcome.clone()))));
                    self.phase = Phase::AwaitingConfirm(Box::new((hello, welcome)));
                }
            },
            (Asked::Confirm, Answer::Done) => {
                let phase = std::mem::replace(&mut self.phase, Phase::Over);
                if let Phase::Confirming(shake) = phase {
                    self.live(&shake.0, &shake.1, &shake.2, out);
                }
            }
            (Asked::AppendUp | Asked::InstallUp, Answer::Head { seq, chain }) => {
                let ack = Ack { direction: Direction::Up, seq, chain };
                self.up_ack = Some(ack);
                out.push(Output::Send(Lane::Liveness, Message::Ack(ack)));
            }
            (Asked::AppendDown, Answer::Head { seq, chain }) => {
                let ack = Ack { direction: Direction::Down, seq, chain };
                out.push(Output::Send(Lane::Liveness, Message::Ack(ack)));
                if self.offered.as_ref().is_some_and(|(_, through)| seq >= *through) {
                    self.offered = None;
                    self.begin_down(seq);
                }
            }
            (Asked::Snapshot, Answer::Snapshot(snapshot)) => {
                let (base, rows) = *snapshot;
                let mut down =
                    Outbound::new(Direction::Down, base.seq, limits::CREDIT_FRAMES, limits::CREDIT_BYTES);
                down.after_base(base.seq, base.chain);
                self.down = Some(down);
                for chunk in cut(Direction::Down, &base, rows) {
                    out.push(Output::Send(Lane::Live, Message::Base(Box::new(chunk))));
                }
            }
            _ => {}
        }
    }

    fn begin_down(&mut self, after: Seq) {
        let (frames, bytes) = (limits::CREDIT_FRAMES, limits::CREDIT_BYTES);
        self.down = Some(Outbound::new(Direction::Down, after, frames, bytes));
    }

    fn live(&mut self, hello: &Hello, welcome: &Welcome, confirm: &Confirm, out: &mut Vec<Output>) {
        self.phase = Phase::Live;
        out.push(Output::Live { session: self.session });
        if hello.up_accepted > Seq::ZERO
            && let super::message::UpPlan::Continue { tail: found, .. } = welcome.up
            && found < hello.up_accepted
        {
            let (direction, accepted) = (Direction::Up, hello.up_accepted);
            out.push(Output::Note(Note::Regressed { direction, accepted, found }));
        }
        let head = hello.down.as_ref().map_or(Seq::ZERO, |down| down.head);
        match (&welcome.down, confirm.down) {
            (DownPlan::Rows, _) | (_, DownVerdict::Forked) => {}
            (DownPlan::Send, _) => self.begin_down(head),
            (DownPlan::Base, _) => self.ask(Asked::Snapshot, Command::Snapshot, out),
            (DownPlan::Offer { .. }, DownVerdict::Offer { .. }) => {}
            (DownPlan::Offer { .. }, DownVerdict::AsPlanned) => {
                let why = "the offer that was asked for was not answered".to_owned();
                self.close(CloseReason::Protocol(why), out);
            }
        }
    }

    /// What may arrive is known with the confirm, before it is durable here.
    fn agree(&mut self) {
        let Phase::Confirming(shake) = &self.phase else { return };
        let (hello, welcome, confirm) = &**shake;
        if self.up.is_none()
            && let (super::message::UpPlan::Continue { tail, .. }, UpVerdict::Resume) =
                (&welcome.up, confirm.up)
        {
            self.up = Some(Inbound::new(hello.up.log_id, *tail));
        }
        if self.offered.is_none()
            && let (DownPlan::Offer { tail, .. }, DownVerdict::Offer { through }) =
                (&welcome.down, confirm.down)
            && let Some(down) = &hello.down
        {
            self.offered = Some((Inbound::new(down.log_id, *tail), through));
        }
    }

    fn tick(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let silent = now_ms.saturating_sub(self.heard_ms);
        let allowed = match self.phase {
            Phase::Live => u64::from(super::commands::cloud::HEARTBEAT_MS) * SILENT_BEATS,
            _ => HANDSHAKE_MS,
        };
        if silent > allowed {
            self.close(CloseReason::Silent, out);
        }
        // Before there is a flow, the edge owes its rows or its offer.
        let owed = self.phase == Phase::Live && self.down.as_ref().is_none_or(Outbound::is_waiting);
        let mark = self.down.as_ref().map(|down| down.proved);
        let limit = u64::from(super::commands::cloud::HEARTBEAT_MS) * super::STALLED_BEATS;
        if self.patience.is_over(now_ms, owed, mark, limit) {
            self.close(CloseReason::Stalled, out);
        }
    }

    /// Compares the edge's digest of `up` with ours at the same position.
    fn compare(
        &mut self,
        theirs: &[ViewDigest],
        log: &dyn SessionLog,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(head) = log.head(Direction::Up)? else { return Ok(()) };
        let ours = digest_of(Direction::Up, &head);
        let Some(theirs) = theirs.iter().find(|d| d.direction == Direction::Up) else { return Ok(()) };
        let comparable =
            (ours.log_id, ours.seq, ours.view_version) == (theirs.log_id, theirs.seq, theirs.view_version);
        if !comparable || ours.digest == theirs.digest {
            self.refolded = self.refolded && !comparable;
            return Ok(());
        }
        out.push(Output::Note(Note::Diverged { direction: Direction::Up, seq: ours.seq }));
        if !self.refolded {
            self.refolded = true;
            self.ask(Asked::Refold, Command::Refold { direction: Direction::Up }, out);
        }
        Ok(())
    }

    fn pump(&mut self, log: &dyn SessionLog, out: &mut Vec<Output>) -> Result<(), StoreError> {
        self.agree();
        if self.phase != Phase::Live {
            return Ok(());
        }
        if let Some(down) = &mut self.down {
            while let Some(frame) = down.next(log, None)? {
                let frame = frame.into();
                out.push(Output::Send(Lane::Live, Message::Frame { direction: Direction::Down, frame }));
            }
        }
        Ok(())
    }
}
