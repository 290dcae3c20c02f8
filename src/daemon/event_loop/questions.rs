// SPDX-License-Identifier: GPL-2.0-or-later
//! Answering callers on the bus, and telling subscribers what changes. Most answers wait for a list
//! of flows, those to orders for a transaction.

use std::time::{Duration, Instant};

use log::warn;
use ubus::BlobMsgTable;

use super::Daemon;
use crate::core::control::{Effect, Event};
use crate::core::explain::Wanted;
use crate::core::flows::{Flow, FlowState};
use crate::core::notices::Present;
use crate::core::status::Status;
use crate::daemon::answers::{self, Answers};
use crate::daemon::flow_poll::FlowPoll;
use crate::daemon::knowledge::Knowledge;
use crate::daemon::orders::Wish;
use crate::netlink::Error;
use crate::ubus::devices::DevicesQuery;
use crate::ubus::flows::FlowQuery;
use crate::ubus::hosts::HostsQuery;
use crate::ubus::{hardware, history, notice, status, ReplyTo, StatusCode};

/// `status` reads nf_tables again when the last reading is older.
const SURVEY_FRESH: Duration = Duration::from_secs(1);

/// What waits for a list of flows.
#[derive(Debug)]
pub(super) enum Question {
    Status,
    Devices(DevicesQuery),
    Flows(FlowQuery),
    Hosts(HostsQuery),
    Explain(Wanted),
    History(usize),
    Hardware,
    Order(Wish),
}

impl Question {
    /// The answer is made from all flows.
    fn is_long(&self) -> bool {
        !matches!(self, Question::Status | Question::History(_) | Question::Hardware)
    }
}

impl Daemon {
    /// Sends what has changed to those who have subscribed to the object. What the bus does not take
    /// is tried again when it has taken something.
    pub(super) fn tell_subscribers(&mut self) {
        if !self.bus.has_subscribers() {
            return self.notices.forget();
        }
        if !std::mem::take(&mut self.changed) && !self.notices.is_new() {
            return;
        }
        let present = Present { switches: self.switches.notices(), ..self.control.present() };
        for change in self.notices.changes(present) {
            let (name, data) = notice::encode(&change);
            if self.bus.notify(name, &data) {
                self.notices.told(change);
            } else {
                self.changed = true;
                return;
            }
        }
    }

    /// Answers in this turn or the next ones where flows do not matter, or were listed lately; else when
    /// they are.
    pub(super) fn ask(&mut self, question: Question, reply_to: ReplyTo) {
        if matches!(question, Question::Hardware) {
            self.switches.look(Instant::now());
            return self.make_ready(question, reply_to, false);
        }
        self.refresh();
        let now = Instant::now();
        let Some(flows) = &mut self.flows else {
            return self.make_ready(question, reply_to, false);
        };
        flows.look(now);
        if matches!(question, Question::Order(_)) {
            // What is done to flows must not miss those in a part of the list that has passed.
            self.late.push((question, reply_to));
            if !flows.is_listing() {
                self.list_for_late();
            }
            return;
        }
        if flows.is_recent(now) {
            let known = self.flow_error.is_empty();
            return self.make_ready(question, reply_to, known);
        }
        self.waiting.push((question, reply_to));
        self.list();
    }

    /// Starts the list that callers wait for who came while another one was under way.
    pub(super) fn list_for_late(&mut self) {
        if !self.late.is_empty() {
            self.waiting.append(&mut self.late);
            self.list();
        }
    }

    /// Starts a list for those who wait, unless one is under way.
    fn list(&mut self) {
        let Some(flows) = &mut self.flows else { return };
        if let Err(error) = flows.start(&self.control, Instant::now()) {
            warn!("{error}");
            self.make_waiting_ready(false);
        }
    }

    /// A list of flows is there, or is not to be had: whoever waits can be answered.
    pub(super) fn listed(&mut self, result: Result<(), Error>) {
        let line = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        if !line.is_empty() && line != self.flow_error {
            warn!("{line}");
        }
        self.flow_error = line;
        if result.is_ok() {
            self.judge_flows();
            self.pick_for_switches();
        }
        self.changed = true;
        self.make_waiting_ready(result.is_ok());
        self.list_for_late();
    }

    fn make_waiting_ready(&mut self, listed: bool) {
        for (question, reply_to) in std::mem::take(&mut self.waiting) {
            self.make_ready(question, reply_to, listed);
        }
    }

    fn make_ready(&mut self, question: Question, reply_to: ReplyTo, listed: bool) {
        let long = question.is_long();
        self.ready.push((question, reply_to, listed), long);
    }

    /// Answers some of those who can be, and has done what they have ordered.
    pub(super) fn on_ready(&mut self) {
        for (question, reply_to, listed) in self.ready.take_turn() {
            self.answer(&question, reply_to, listed);
        }
        let orders = self.orders.take_placed(!self.ready.is_empty(), Instant::now());
        if !orders.is_empty() {
            self.feed(Event::Orders(orders));
            let now = Instant::now();
            self.watches.begin_wanted(&|id| self.control.watched(id, now));
        }
    }

    /// What a list of flows says about hardware, and beside the counts of what leaked.
    pub(super) fn judge_flows(&mut self) {
        self.refresh();
        let unshown = self.flows.as_mut().map(FlowPoll::take_unshown).unwrap_or_default();
        if !unshown.is_empty() {
            self.feed(Event::Unshown(unshown));
        }
        let Some(flows) = &self.flows else { return };
        if self.control.wants_evidence() {
            let (now, control) = (Instant::now(), &self.control);
            let ledger = flows.table().ledger();
            let knowledge = Knowledge { control, ledger, policies: &[], switches: None, now };
            let ordinary = |flow: &Flow| knowledge.goes_with_the_rest(flow);
            let ordinary: Option<&dyn Fn(&Flow) -> bool> =
                if control.has_rules() { Some(&ordinary) } else { None };
            let pairs = flows.table().pairs(flows.now_ms(now), ordinary);
            self.feed(Event::Offloaded(pairs));
        }
        let Some(flows) = &self.flows else { return };
        let totals = flows.table().ledger().account.totals();
        // What may have been offloaded counts as if it had been: the doubt is the path's benefit.
        let unseen = flows.table().ledger().account.unseen;
        let packets = |state| {
            totals.get(state as usize).map_or(0, |carried| carried.packets.saturating_add(unseen))
        };
        let carried = [packets(FlowState::Software), packets(FlowState::Hardware)];
        self.feed(Event::Carried(carried));
    }

    /// Wants something done to flows; the caller is answered when it is.
    fn order(&mut self, wish: &Wish, reply_to: ReplyTo, listed: bool) {
        let now = Instant::now();
        let about = self.about(listed, now).ok();
        match wish.order(about.as_ref()) {
            Some((asked, order)) => self.orders.place(asked, reply_to, order, now),
            None => self.bus.reply(reply_to, Err(StatusCode::NoData)),
        }
    }

    fn answer(&mut self, question: &Question, reply_to: ReplyTo, listed: bool) {
        let now = Instant::now();
        let answer = match question {
            Question::Status => {
                let counts = self.known_flows(listed).map(|flows| flows.table().counts());
                let closing = self.known_flows(listed).map(|flows| flows.closing(now));
                let polling = self.flows.as_ref().map(FlowPoll::polling);
                let status = self.control.status(counts, now);
                let left_out = answers::left_out(status.left_out, self.flows.as_ref(), &self.names);
                Ok(status::encode(&Status { closing, polling, left_out, ..status }))
            }
            Question::Devices(query) => {
                let flows = self.known_flows(listed);
                answers::devices(&self.control, flows, query, now)
            }
            Question::Flows(query) => self.about(listed, now).and_then(|a| a.flows(query)),
            Question::Hosts(query) => self.about(listed, now).and_then(|a| a.hosts(query)),
            Question::Explain(wanted) => self.explain(wanted, listed, now),
            Question::History(points) => {
                let flows = self.known_flows(listed).ok_or(StatusCode::NoData);
                let counted = self.control.counted();
                flows.map(|flows| history::of(&flows.table().ledger().account, counted, *points))
            }
            Question::Hardware => Ok(hardware::encode(&self.switches.views())),
            Question::Order(wish) => return self.order(wish, reply_to, listed),
        };
        self.bus.reply(reply_to, answer);
    }

    /// Explains a flow, and has an offloaded one watched, so that the next answer knows more.
    fn explain(
        &mut self,
        wanted: &Wanted,
        listed: bool,
        now: Instant,
    ) -> Result<BlobMsgTable, StatusCode> {
        let about = self.about(listed, now)?;
        let (flow, matched) = about.find(wanted).ok_or(StatusCode::NotFound)?;
        let evidence = self.watches.evidence(&flow, &|id| self.control.watched(id, now));
        let answer = self.about(listed, now)?.explain(flow.clone(), matched, evidence);
        if flow.state != FlowState::Classic {
            // Nobody waits for the order: without it the next answer only knows less.
            if !self.control.watch_lasts(flow.id, now) {
                self.orders.watch(flow.id, now);
                self.watches.want(flow, evidence);
            } else if evidence.is_none() {
                self.watches.begin(&flow, evidence, &|id| self.control.watched(id, now));
            }
        }
        answer
    }

    /// What answers about flows are made from.
    fn about(&mut self, listed: bool, now: Instant) -> Result<Answers<'_>, StatusCode> {
        self.names.refresh(self.control.lease_files(), now);
        let flows = self.known_flows(listed).ok_or(StatusCode::NoData)?;
        Ok(Answers::new(&self.control, flows, &self.names, &self.switches, now))
    }

    /// The flows, unless the last list of them failed.
    fn known_flows(&self, listed: bool) -> Option<&FlowPoll> {
        self.flows.as_ref().filter(|_| listed)
    }

    /// Reads nf_tables again, unless that was just done, so that answers are about the present.
    fn refresh(&mut self) {
        let now = Instant::now();
        if self.world.survey_older_than(SURVEY_FRESH, now) {
            if let Some(Event::Surveyed(result)) = self.world.perform(Effect::Survey, now) {
                self.feed(Event::Refreshed(result));
            }
        }
    }
}
