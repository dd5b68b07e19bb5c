//! The edge's side of a session.

use std::collections::VecDeque;

use ledge_schemas::{LogId, NodeName, Seq, format, kinds};

use super::commands::edge::SessionRecord;
use super::flow::{Acked, Inbound, Outbound, Patience};
use super::message::{
    Ack, Beat, Confirm, Direction, DownPlan, DownVerdict, Hello, Message, Overlay, RefuseCode, UpPlan,
    UpVerdict, ViewDigest, Welcome,
};
use super::session_log::{SessionLog, state};
use super::transfer::{Assembly, cut};
use super::{Answer, CloseReason, Command, Input, Lane, Note, Output, Session};
use crate::broken::{self, Bug};
use crate::log::StoreError;
use crate::{Base, frame};
use ledge_schemas::limits;

/// Events behind from which on the current rows are sent ahead of the history.
const OVERLAY_FROM: u64 = 1_000;
/// Heartbeats without a word from the cloud after which the session is over.
const SILENT_BEATS: u64 = 2;
/// Milliseconds in which a handshake must be done.
const HANDSHAKE_MS: u64 = 10_000;

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    AwaitingWelcome,
    Storing(Box<Welcome>),
    Live,
    Over,
}

/// See the module. Made for one connection and dropped with it.
#[derive(Debug)]
pub struct EdgeSession {
    phase: Phase,
    session: u64,
    up: Outbound,
    down: Option<Inbound>,
    down_ack: Option<Ack>,
    /// While the cloud is offered what it lost of `down`.
    offer: Option<(Outbound, Seq)>,
    arriving: Assembly,
    commands: VecDeque<Asked>,
    heard_ms: u64,
    patience: Patience,
    beat_ms: u64,
    beats: u64,
    heartbeat_ms: u64,
    refolded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    StoreSession,
    BeginUp,
    SetProved,
    AppendDown,
    InstallDown,
    Refold,
}

impl Session for EdgeSession {
    fn on(
        &mut self,
        now_ms: u64,
        wall_ms: u64,
        input: Input,
        log: &dyn SessionLog,
    ) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        match input {
            Input::Message(message) => {
                self.heard_ms = now_ms;
                self.message(wall_ms, message, log, &mut out)?;
            }
            Input::Done(result) => self.done(result, log, &mut out)?,
            Input::Wake => {}
            Input::Tick => self.tick(now_ms, log, &mut out)?,
        }
        self.pump(log, &mut out)?;
        Ok(out)
    }
}

impl EdgeSession {
    /// Begins a session on a fresh connection.
    pub fn start(
        node: &NodeName,
        record: &SessionRecord,
        log: &dyn SessionLog,
        now_ms: u64,
        wall_ms: u64,
        accepted: Seq,
    ) -> Result<(Self, Vec<Output>), StoreError> {
        let Some(up) = log.head(Direction::Up)? else {
            return Err(StoreError::NoStream(super::session_log::stream(node, Direction::Up)));
        };
        let hello = Hello {
            node: node.clone(),
            session: record.number,
            protocol_oldest: format::PROTOCOL_OLDEST,
            protocol: format::PROTOCOL,
            kinds: kinds::all().map(|(kind, _)| kind).collect(),
            view_version: format::VIEW,
            now_ms: wall_ms,
            up: state(&up),
            up_accepted: accepted,
            down: log.head(Direction::Down)?.as_ref().map(state),
            store_id: record.store_id,
        };
        let session = Self {
            phase: Phase::AwaitingWelcome,
            session: 0,
            up: Outbound::new(Direction::Up, accepted, 1, 1),
            down: None,
            down_ack: None,
            offer: None,
            arriving: Assembly::default(),
            commands: VecDeque::new(),
            heard_ms: now_ms,
            patience: Patience::new(now_ms),
            beat_ms: now_ms,
            beats: 0,
            heartbeat_ms: u64::from(super::commands::cloud::HEARTBEAT_MS),
            refolded: false,
        };
        Ok((session, vec![Output::Send(Lane::Live, Message::Hello(Box::new(hello)))]))
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

    fn close(&mut self, reason: CloseReason, out: &mut Vec<Output>) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            out.push(Output::Close(reason));
        }
    }

    fn ask(&mut self, asked: Asked, command: Command, out: &mut Vec<Output>) {
        self.commands.push_back(asked);
        out.push(Output::Command(command));
    }

    fn message(
        &mut self,
        wall_ms: u64,
        message: Message,
        log: &dyn SessionLog,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        match (message, &self.phase) {
            (_, Phase::Over) => {}
            (Message::Refuse(refuse), _) => {
                let provisional = log.head(Direction::Up)?.is_none_or(|up| up.base.epoch.0 == 0);
                if refuse.code == RefuseCode::Quarantined && !provisional {
                    // So that the operator can tell this copy from the other one.
                    let command = Command::BeginUp { reason: refuse.text.clone() };
                    self.ask(Asked::BeginUp, command, out);
                }
                self.close(CloseReason::Refused(refuse.code, refuse.text), out);
            }
            (Message::Welcome(welcome), Phase::AwaitingWelcome) => {
                self.welcome(wall_ms, *welcome, log, out)?
            }
            (Message::Frame { direction: Direction::Down, frame }, Phase::Live) => {
                match frame::unpack(&frame) {
                    Ok(runs) => self.runs(runs, out),
                    Err(error) => self.close(CloseReason::Protocol(error.to_string()), out),
                }
            }
            (Message::Base(chunk), Phase::Live) if chunk.direction == Direction::Down => {
                match self.arriving.take(*chunk) {
                    Ok(None) => {}
                    // Came twice: what followed it is here already.
                    Ok(Some((base, _))) if self.is_beyond(&base) => {}
                    Ok(Some((base, rows))) => {
                        self.down = Some(Inbound::new(base.log_id, base.seq));
                        let (direction, session) = (Direction::Down, self.session);
                        let command = Command::Install { direction, session, base, rows };
                        self.ask(Asked::InstallDown, command, out);
                    }
                    Err(why) => self.close(CloseReason::Protocol(why), out),
                }
            }
            (Message::Ack(ack), Phase::Live) => self.acked(ack, out),
            (Message::Pong(beat), Phase::Live) => {
                if let Some(ack) = beat.ack {
                    self.acked(ack, out);
                }
                self.compare(&beat.digests, log, out)?;
            }
            (other, phase) => {
                let why = format!("{} in phase {}", name(&other), phase_name(phase));
                self.close(CloseReason::Protocol(why), out);
            }
        }
        Ok(())
    }

    fn welcome(
        &mut self,
        wall_ms: u64,
        welcome: Welcome,
        log: &dyn SessionLog,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let offset = i128::from(welcome.now_ms) - i128::from(wall_ms);
        out.push(Output::Note(Note::ClockOffset(i64::try_from(offset).unwrap_or(i64::MAX))));
        if welcome.up == UpPlan::NewLog {
            let head = log.head(Direction::Up)?.map_or(Seq::ZERO, |head| head.tail);
            let reason =
                format!("the cloud holds more of this log than its {head} events: its tail was lost");
            self.ask(Asked::BeginUp, Command::BeginUp { reason }, out);
            return Ok(());
        }
        self.session = welcome.session;
        self.heartbeat_ms = u64::from(welcome.heartbeat_ms.clamp(100, 600_000));
        let record = SessionRecord {
            number: welcome.session,
            store_id: Some(welcome.store_id),
            up_epoch: welcome.up_epoch,
        };
        self.phase = Phase::Storing(Box::new(welcome));
        self.ask(Asked::StoreSession, Command::StoreSession(record), out);
        Ok(())
    }

    /// The number is durable: say so, and what was found.
    fn confirm(
        &mut self,
        welcome: &Welcome,
        log: &dyn SessionLog,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(up) = log.head(Direction::Up)? else { return Ok(()) };
        let credit = (welcome.credit_frames, welcome.credit_bytes);
        let (verdict, after) = match welcome.up {
            UpPlan::Continue { tail, chain } => match log.chain_at(Direction::Up, tail)? {
                Some(ours) if ours == chain || broken::is(Bug::KeepLostLog) => (UpVerdict::Resume, tail),
                None if tail < up.base.seq => (UpVerdict::FromBase, up.base.seq),
                None if broken::is(Bug::KeepLostLog) => (UpVerdict::Resume, up.tail),
                _ => (UpVerdict::Forked, tail),
            },
            UpPlan::Begin if broken::is(Bug::TrustOldAck) => {
                (UpVerdict::FromBase, self.up.proved.max(up.base.seq))
            }
            UpPlan::Begin | UpPlan::NewLog => (UpVerdict::FromBase, up.base.seq),
        };
        let after = if broken::is(Bug::TrustOldAck) { after.max(self.up.proved) } else { after };
        let down_head = log.head(Direction::Down)?;
        let down = match (&welcome.down, &down_head) {
            (DownPlan::Offer { tail, chain }, Some(ours)) => {
                if log.chain_at(Direction::Down, *tail)? == Some(*chain) {
                    DownVerdict::Offer { through: ours.tail }
                } else {
                    DownVerdict::Forked
                }
            }
            _ => DownVerdict::AsPlanned,
        };
        let confirm = Confirm { session: self.session, up_log: up.base.log_id, up: verdict, down };
        out.push(Output::Send(Lane::Live, Message::Confirm(confirm)));
        if verdict == UpVerdict::Forked {
            out.push(Output::Note(Note::ChainDiffers { direction: Direction::Up, seq: after }));
            let reason = "the cloud's copy of this log is not on its chain".to_owned();
            self.ask(Asked::BeginUp, Command::BeginUp { reason: reason.clone() }, out);
            self.close(CloseReason::Refused(RefuseCode::Quarantined, reason), out);
            return Ok(());
        }
        self.phase = Phase::Live;
        self.up = Outbound::new(Direction::Up, after, credit.0, credit.1);
        if verdict == UpVerdict::FromBase {
            self.send_base(log, out)?;
        } else if after > Seq::ZERO {
            self.ask(Asked::SetProved, Command::SetProved { seq: after }, out);
            out.push(Output::Note(Note::Proved(after)));
        }
        self.overlay(after, up.position(), log, out)?;
        self.down = down_head.as_ref().map(|head| Inbound::new(head.base.log_id, head.tail));
        match (welcome.down.clone(), down) {
            (DownPlan::Rows, _) | (_, DownVerdict::Forked) => self.send_rows(log, out)?,
            (DownPlan::Offer { tail, .. }, DownVerdict::Offer { through }) => {
                self.offer = Some((Outbound::new(Direction::Down, tail, credit.0, credit.1), through));
            }
            _ => {}
        }
        out.push(Output::Live { session: self.session });
        Ok(())
    }

    fn send_base(&mut self, log: &dyn SessionLog, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let Some((base, rows)) = log.base(Direction::Up)? else { return Ok(()) };
        if !broken::is(Bug::TrustOldAck) {
            self.up.after_base(base.seq, base.chain);
        }
        for chunk in cut(Direction::Up, &base, rows) {
            out.push(Output::Send(Lane::History, Message::Base(Box::new(chunk))));
        }
        Ok(())
    }

    /// Sends the view over `down`, for the cloud to merge.
    fn send_rows(&mut self, log: &dyn SessionLog, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let Some(head) = log.head(Direction::Down)? else { return Ok(()) };
        let rows = log.all_rows(Direction::Down)?;
        let base = Base { seq: head.tail, chain: head.chain, digest: head.cursor.digest, ..head.base };
        for chunk in cut(Direction::Down, &base, rows) {
            out.push(Output::Send(Lane::Live, Message::Base(Box::new(chunk))));
        }
        Ok(())
    }

    fn overlay(
        &mut self,
        after: Seq,
        position: ledge_schemas::Position,
        log: &dyn SessionLog,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if position.seq.0.saturating_sub(after.0) < OVERLAY_FROM {
            return Ok(());
        }
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for row in log.rows_after(Direction::Up, after)? {
            bytes += row.key.len() + row.value.len() + 16;
            rows.push(row);
            if bytes >= limits::OVERLAY_BYTES {
                let rows = std::mem::take(&mut rows);
                out.push(Output::Send(Lane::Live, Message::Overlay(Overlay { position, rows })));
                bytes = 0;
            }
        }
        if !rows.is_empty() {
            out.push(Output::Send(Lane::Live, Message::Overlay(Overlay { position, rows })));
        }
        Ok(())
    }

    fn is_beyond(&self, base: &Base) -> bool {
        self.down.as_ref().is_some_and(|down| down.is_beyond(base.log_id, base.seq))
    }

    fn runs(&mut self, runs: Vec<crate::Run>, out: &mut Vec<Output>) {
        let Some(down) = &mut self.down else {
            return self.close(CloseReason::Protocol("frame before any base".into()), out);
        };
        match down.take(runs) {
            Ok(fresh) => {
                if fresh.duplicates > 0 {
                    out.push(Output::Note(Note::Duplicate { events: fresh.duplicates }));
                }
                if !fresh.runs.is_empty() {
                    let (direction, session) = (Direction::Down, self.session);
                    let command = Command::Append { direction, session, runs: fresh.runs };
                    self.ask(Asked::AppendDown, command, out);
                }
            }
            Err(why) => self.close(CloseReason::Protocol(why), out),
        }
    }

    fn acked(&mut self, ack: Ack, out: &mut Vec<Output>) {
        let flow = match (ack.direction, &mut self.offer) {
            (Direction::Up, _) => &mut self.up,
            (Direction::Down, Some((offer, _))) => offer,
            (Direction::Down, None) => return,
        };
        match flow.acked(ack.seq, ack.chain) {
            Acked::Known => {}
            Acked::Through(seq) if ack.direction == Direction::Up => {
                self.ask(Asked::SetProved, Command::SetProved { seq }, out);
                out.push(Output::Note(Note::Proved(seq)));
            }
            Acked::Through(seq) => {
                if self.offer.as_ref().is_some_and(|(_, through)| seq >= *through) {
                    self.offer = None;
                }
            }
            Acked::Differs => {
                out.push(Output::Note(Note::ChainDiffers { direction: ack.direction, seq: ack.seq }));
                let why = format!("acknowledgement of {} carries another chain", ack.seq);
                self.close(CloseReason::Protocol(why), out);
            }
        }
    }

    fn done(
        &mut self,
        result: Result<Answer, StoreError>,
        log: &dyn SessionLog,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(asked) = self.commands.pop_front() else { return Ok(()) };
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                self.close(CloseReason::Store(error.to_string()), out);
                return Ok(());
            }
        };
        match (asked, answer) {
            (Asked::StoreSession, _) => {
                let phase = std::mem::replace(&mut self.phase, Phase::Over);
                if let Phase::Storing(welcome) = phase {
                    self.confirm(&welcome, log, out)?;
                }
            }
            (Asked::BeginUp, _) => self.close(CloseReason::Restart, out),
            (Asked::AppendDown | Asked::InstallDown, Answer::Head { seq, chain }) => {
                let ack = Ack { direction: Direction::Down, seq, chain };
                self.down_ack = Some(ack);
                if self.phase == Phase::Live {
                    out.push(Output::Send(Lane::Liveness, Message::Ack(ack)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn tick(&mut self, now_ms: u64, log: &dyn SessionLog, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let silent = now_ms.saturating_sub(self.heard_ms);
        let limit = self.heartbeat_ms * super::STALLED_BEATS;
        let flow = self.offer.as_ref().map_or(&self.up, |(offer, _)| offer);
        let owed = self.phase == Phase::Live && (self.up.is_waiting() || flow.is_waiting());
        let mark = Some(Seq(self.up.proved.0.wrapping_add(flow.proved.0)));
        if self.patience.is_over(now_ms, owed, mark, limit) {
            self.close(CloseReason::Stalled, out);
        }
        match self.phase {
            Phase::Live if silent > self.heartbeat_ms * SILENT_BEATS => self.close(CloseReason::Silent, out),
            Phase::AwaitingWelcome | Phase::Storing(_) if silent > HANDSHAKE_MS => {
                self.close(CloseReason::Silent, out);
            }
            Phase::Live if now_ms.saturating_sub(self.beat_ms) >= self.heartbeat_ms => {
                self.beat_ms = now_ms;
                self.beats += 1;
                let digests = own_digests(log)?;
                let beat = Beat { number: self.beats, ack: self.down_ack, digests };
                out.push(Output::Send(Lane::Liveness, Message::Ping(beat)));
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares the cloud's digest of `down` with ours at the same position.
    fn compare(
        &mut self,
        theirs: &[ViewDigest],
        log: &dyn SessionLog,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(head) = log.head(Direction::Down)? else { return Ok(()) };
        let ours = digest_of(Direction::Down, &head);
        let Some(theirs) = theirs.iter().find(|d| d.direction == Direction::Down) else { return Ok(()) };
        let comparable =
            (ours.log_id, ours.seq, ours.view_version) == (theirs.log_id, theirs.seq, theirs.view_version);
        if !comparable || ours.digest == theirs.digest {
            self.refolded = self.refolded && !comparable;
            return Ok(());
        }
        out.push(Output::Note(Note::Diverged { direction: Direction::Down, seq: ours.seq }));
        if self.refolded {
            out.push(Output::Send(Lane::Live, Message::WantBase));
        } else {
            self.refolded = true;
            self.ask(Asked::Refold, Command::Refold { direction: Direction::Down }, out);
        }
        Ok(())
    }

    /// Sends what there is to send and credit for.
    fn pump(&mut self, log: &dyn SessionLog, out: &mut Vec<Output>) -> Result<(), StoreError> {
        if self.phase != Phase::Live {
            return Ok(());
        }
        while let Some(frame) = self.up.next(log, None)? {
            let frame = frame.into();
            out.push(Output::Send(Lane::History, Message::Frame { direction: Direction::Up, frame }));
            if broken::is(Bug::ProveOnSend) {
                let seq = self.up.next_after;
                self.ask(Asked::SetProved, Command::SetProved { seq }, out);
                out.push(Output::Note(Note::Proved(seq)));
            }
        }
        if let Some((offer, through)) = &mut self.offer {
            while let Some(frame) = offer.next(log, Some(*through))? {
                let frame = frame.into();
                out.push(Output::Send(Lane::History, Message::Frame { direction: Direction::Down, frame }));
            }
        }
        Ok(())
    }
}

/// Digests of both views as the sender has them.
pub(super) fn own_digests(log: &dyn SessionLog) -> Result<Vec<ViewDigest>, StoreError> {
    let mut digests = Vec::new();
    for direction in [Direction::Up, Direction::Down] {
        if let Some(head) = log.head(direction)? {
            digests.push(digest_of(direction, &head));
        }
    }
    Ok(digests)
}

pub(super) fn digest_of(direction: Direction, head: &crate::log::StreamHead) -> ViewDigest {
    let log_id: LogId = head.base.log_id;
    let (seq, cursor) = (head.cursor.applied, head.cursor);
    ViewDigest { direction, log_id, seq, view_version: cursor.view_version, digest: cursor.digest }
}

/// Name of a message for errors.
pub(super) fn name(message: &Message) -> &'static str {
    match message {
        Message::Hello(_) => "hello",
        Message::Welcome(_) => "welcome",
        Message::Refuse(_) => "refuse",
        Message::Confirm(_) => "confirm",
        Message::Frame { .. } => "frame",
        Message::Base(_) => "base",
        Message::Ack(_) => "ack",
        Message::Ping(_) => "ping",
        Message::Pong(_) => "pong",
        Message::Overlay(_) => "overlay",
        Message::WantBase => "want-base",
    }
}

fn phase_name(phase: &Phase) -> &'static str {
    match phase {
        Phase::AwaitingWelcome => "awaiting-welcome",
        Phase::Storing(_) => "storing",
        Phase::Live => "live",
        Phase::Over => "over",
    }
}
