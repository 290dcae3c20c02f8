// SPDX-License-Identifier: GPL-2.0-or-later
//! Queueing disciplines, and the filters that redirect what comes in to another device.
//!
//! Source: include/uapi/linux/{rtnetlink,pkt_sched,pkt_cls}.h and include/uapi/linux/tc_act/tc_mirred.h.

use netlink_packet_core::{DecodeError, NLM_F_EXCL};

use crate::netlink::attribute::{self, Writer};
use crate::netlink::message::Message;

const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
pub(super) const RTM_GETQDISC: u16 = 38;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
pub(super) const RTM_GETTFILTER: u16 = 46;

/// `struct tcmsg`: family, padding, index, handle, parent, info.
const TCMSG_LEN: usize = 20;
/// TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS): the filters of packets that come in, under `clsact`
/// and under `ingress`.
const PARENT_INGRESS: u32 = 0xffff_fff2;
/// The same of packets that go out.
const PARENT_EGRESS: u32 = 0xffff_fff3;
/// The parent of filters of a queueing discipline that has the packets that come in (TC_H_MAJ).
const MAJOR_INGRESS: u32 = 0xffff_0000;
/// In place of the index: the filters are those of a block that devices share, whose number is in
/// the place of the parent (TCM_IFINDEX_MAGIC_BLOCK).
const SHARED_BLOCK: u32 = u32::MAX;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_CAKE_BASE_RATE64: u16 = 2;

const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_MIRRED_PARMS: u16 = 2;
/// `struct tc_mirred`: five words that all actions have, what to do, index of the device.
const TC_MIRRED_LEN: usize = 28;
const TCA_EGRESS_REDIR: u32 = 1;

/// The attribute with the actions, by kind of filter.
const ACTIONS: [(&str, u16); 6] =
    [("bpf", 1), ("basic", 3), ("flower", 3), ("fw", 4), ("matchall", 2), ("u32", 7)];

/// One queueing discipline of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qdisc {
    /// Index of the device.
    pub index: u32,
    /// `cake`, `fq_codel`, `clsact`, ...
    pub kind: String,
    /// It limits the rate: known of `cake`, which may have no limit; else `None`.
    pub limits: Option<bool>,
}

/// A message about queueing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueEvent {
    /// A queueing discipline is new or has changed.
    New(Qdisc),
    /// One is gone.
    Gone(Qdisc),
    /// About a filter of packets that come in.
    Filter(FilterEvent),
}

/// A message about one filter, or about all of a priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterEvent {
    /// Index of its device; `None` when several devices may have it.
    pub index: Option<u32>,
    /// The device to which it redirects packets, or did.
    pub redirect: Option<u32>,
    /// What has become of it.
    pub change: FilterChange,
}

/// What becomes of filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterChange {
    /// There was none in its place.
    Added,
    /// It may be in the place of another.
    Replaced,
    /// It is gone.
    Gone,
}

impl FilterEvent {
    /// `None` when it is about packets that go out, or that wait.
    fn parse(message: &Message<'_>) -> Result<Option<FilterEvent>, DecodeError> {
        let (index, attributes) = split(message.payload)?;
        let parent = message.payload.get(12..16).and_then(|bytes| bytes.try_into().ok());
        let parent = parent.map_or(0, u32::from_ne_bytes);
        let index = (index != SHARED_BLOCK).then_some(index);
        if index.is_some() && (parent & MAJOR_INGRESS != MAJOR_INGRESS || parent == PARENT_EGRESS) {
            return Ok(None);
        }
        let change = match message.kind {
            RTM_DELTFILTER => FilterChange::Gone,
            // The kernel hands on the flags of the request.
            _ if message.flags & NLM_F_EXCL != 0 => FilterChange::Added,
            _ => FilterChange::Replaced,
        };
        Ok(Some(FilterEvent { index, redirect: target(attributes)?, change }))
    }
}

impl QueueEvent {
    /// Reads one rtnetlink message; `None` for other kinds.
    pub(super) fn parse(message: &Message<'_>) -> Result<Option<QueueEvent>, DecodeError> {
        Ok(Some(match message.kind {
            RTM_NEWQDISC => QueueEvent::New(Qdisc::parse(message.payload)?),
            RTM_DELQDISC => QueueEvent::Gone(Qdisc::parse(message.payload)?),
            RTM_NEWTFILTER | RTM_DELTFILTER => {
                return Ok(FilterEvent::parse(message)?.map(QueueEvent::Filter));
            }
            _ => return Ok(None),
        }))
    }
}

impl Qdisc {
    fn parse(payload: &[u8]) -> Result<Qdisc, DecodeError> {
        let (index, attributes) = split(payload)?;
        let mut qdisc = Qdisc { index, kind: String::new(), limits: None };
        attribute::for_each(attributes, |kind, value| {
            match kind {
                TCA_KIND => qdisc.kind = attribute::string(value),
                // What the options mean depends on the kind, which comes first.
                TCA_OPTIONS if qdisc.kind == "cake" => {
                    attribute::for_each(value, |kind, rate| {
                        if kind == TCA_CAKE_BASE_RATE64 {
                            qdisc.limits = Some(rate.iter().any(|&byte| byte != 0));
                        }
                        Ok(())
                    })?;
                }
                _ => (),
            }
            Ok(())
        })?;
        Ok(qdisc)
    }
}

/// Reads one filter of a list: index of its device, and the device to which it redirects packets;
/// `None` when it does not, or when the message is something else.
///
/// # Errors
/// The message is shorter than its lengths say.
pub fn parse_redirect(message: &Message<'_>) -> Result<Option<(u32, u32)>, DecodeError> {
    if message.kind != RTM_NEWTFILTER {
        return Ok(None);
    }
    let (index, attributes) = split(message.payload)?;
    Ok(target(attributes)?.map(|target| (index, target)))
}

/// The device to which a filter redirects packets.
fn target(attributes: &[u8]) -> Result<Option<u32>, DecodeError> {
    let (mut actions, mut target) = (None, None);
    attribute::for_each(attributes, |kind, value| {
        match kind {
            TCA_KIND => {
                let name = attribute::string(value);
                actions = ACTIONS.iter().find(|(kind, _)| *kind == name).map(|(_, number)| *number);
            }
            TCA_OPTIONS => attribute::for_each(value, |kind, list| {
                if Some(kind) == actions {
                    attribute::for_each(list, |_, action| {
                        target = target.or(redirected(action)?);
                        Ok(())
                    })?;
                }
                Ok(())
            })?,
            _ => (),
        }
        Ok(())
    })?;
    Ok(target)
}

/// The device to which an action redirects packets, as if they were sent by it.
fn redirected(action: &[u8]) -> Result<Option<u32>, DecodeError> {
    let (mut mirred, mut target) = (false, None);
    attribute::for_each(action, |kind, value| {
        match kind {
            TCA_ACT_KIND => mirred = attribute::string(value) == "mirred",
            TCA_ACT_OPTIONS if mirred => attribute::for_each(value, |kind, value| {
                if kind == TCA_MIRRED_PARMS {
                    target = parse_mirred(value)?;
                }
                Ok(())
            })?,
            _ => (),
        }
        Ok(())
    })?;
    Ok(target)
}

fn parse_mirred(value: &[u8]) -> Result<Option<u32>, DecodeError> {
    let Some([.., a0, a1, a2, a3, i0, i1, i2, i3]) = value.first_chunk::<TC_MIRRED_LEN>() else {
        return Err(DecodeError::buffer_too_small(value.len(), TC_MIRRED_LEN));
    };
    let action = u32::from_ne_bytes([*a0, *a1, *a2, *a3]);
    let index = u32::from_ne_bytes([*i0, *i1, *i2, *i3]);
    Ok((action == TCA_EGRESS_REDIR).then_some(index))
}

fn split(payload: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    let Some((&[_, _, _, _, i0, i1, i2, i3, ..], attributes)) =
        payload.split_first_chunk::<TCMSG_LEN>()
    else {
        return Err(DecodeError::buffer_too_small(payload.len(), TCMSG_LEN));
    };
    Ok((u32::from_ne_bytes([i0, i1, i2, i3]), attributes))
}

/// The question for all queueing disciplines.
pub(super) fn write_dump(writer: &mut Writer) {
    writer.raw(&[0; TCMSG_LEN]);
}

/// The question for the filters of what comes in by a device.
pub(super) fn write_ingress_dump(writer: &mut Writer, index: u32) {
    let [mut head, handle, mut parent, info] = [[0u8; 4]; 4];
    head.copy_from_slice(&index.to_ne_bytes());
    parent.copy_from_slice(&PARENT_INGRESS.to_ne_bytes());
    writer.raw(&[[0; 4], head, handle, parent, info].concat());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, index: u32, fill: impl FnOnce(&mut Writer)) -> (u16, Vec<u8>) {
        let mut writer = Writer::new();
        write_ingress_dump(&mut writer, index);
        fill(&mut writer);
        (kind, writer.into_bytes())
    }

    fn read((kind, payload): &(u16, Vec<u8>)) -> Message<'_> {
        Message { kind: *kind, flags: 0, sequence: 0, port: 0, payload }
    }

    fn cake(rate: u64) -> (u16, Vec<u8>) {
        message(RTM_NEWQDISC, 7, |writer| {
            writer.string(TCA_KIND, "cake");
            writer.nest(TCA_OPTIONS, |options| {
                options.bytes(TCA_CAKE_BASE_RATE64, &rate.to_ne_bytes());
            });
        })
    }

    #[test]
    fn cake_limits_when_it_has_a_rate() {
        let limits = |rate| match QueueEvent::parse(&read(&cake(rate))) {
            Ok(Some(QueueEvent::New(qdisc))) => (qdisc.index, qdisc.kind, qdisc.limits),
            other => panic!("{other:?}"),
        };
        assert_eq!(limits(1 << 40), (7, "cake".into(), Some(true)));
        assert_eq!(limits(0), (7, "cake".into(), Some(false)));
    }

    fn filter(kind: &str, actions: u16, action: &str, what: u32) -> (u16, Vec<u8>) {
        let mut parameters = vec![0; 20];
        parameters.extend(what.to_ne_bytes());
        parameters.extend(9u32.to_ne_bytes());
        message(RTM_NEWTFILTER, 7, |writer| {
            writer.string(TCA_KIND, kind);
            writer.nest(TCA_OPTIONS, |options| {
                options.nest(actions, |list| {
                    list.nest(1, |entry| {
                        entry.string(TCA_ACT_KIND, action);
                        entry.nest(TCA_ACT_OPTIONS, |o| o.bytes(TCA_MIRRED_PARMS, &parameters));
                    });
                });
            });
        })
    }

    #[test]
    fn a_redirect_names_its_device() {
        let target = |kind: &str, actions, action: &str, what| {
            parse_redirect(&read(&filter(kind, actions, action, what))).unwrap()
        };
        assert_eq!(target("matchall", 2, "mirred", TCA_EGRESS_REDIR), Some((7, 9)));
        assert_eq!(target("u32", 7, "mirred", TCA_EGRESS_REDIR), Some((7, 9)));
        assert_eq!(target("u32", 2, "mirred", TCA_EGRESS_REDIR), None, "not its actions");
        assert_eq!(target("u32", 7, "mirred", 2), None, "a copy takes nothing away");
        assert_eq!(target("u32", 7, "police", TCA_EGRESS_REDIR), None);
        assert_eq!(target("route", 7, "mirred", TCA_EGRESS_REDIR), None);
        assert_eq!(parse_redirect(&read(&cake(1))).unwrap(), None);
    }

    #[test]
    fn an_event_tells_what_a_filter_redirects() {
        let event = |kind: u16, parent: u32, flags: u16, index: u32, what: u32| {
            let (_, mut payload) = filter("u32", 7, "mirred", what);
            payload[4..8].copy_from_slice(&index.to_ne_bytes());
            payload[12..16].copy_from_slice(&parent.to_ne_bytes());
            let whole = (kind, payload);
            let message = Message { flags, ..read(&whole) };
            match QueueEvent::parse(&message).unwrap() {
                Some(QueueEvent::Filter(event)) => {
                    Some((event.index, event.redirect, event.change))
                }
                other => {
                    assert_eq!(other, None);
                    None
                }
            }
        };
        let redirect = |kind, parent, flags| event(kind, parent, flags, 7, TCA_EGRESS_REDIR);
        let told = |change| Some((Some(7), Some(9), change));
        let added = redirect(RTM_NEWTFILTER, PARENT_INGRESS, NLM_F_EXCL);
        assert_eq!(added, told(FilterChange::Added));
        // As `tc filter replace ... parent ffff:` has it.
        let replaced = redirect(RTM_NEWTFILTER, MAJOR_INGRESS, 0);
        assert_eq!(replaced, told(FilterChange::Replaced));
        assert_eq!(redirect(RTM_DELTFILTER, PARENT_INGRESS, 0), told(FilterChange::Gone));
        assert_eq!(redirect(RTM_NEWTFILTER, PARENT_EGRESS, 0), None);
        assert_eq!(redirect(RTM_NEWTFILTER, 0x0001_0000, 0), None, "of a class");
        let copies = event(RTM_NEWTFILTER, PARENT_INGRESS, 0, 7, 2);
        assert_eq!(copies, Some((Some(7), None, FilterChange::Replaced)));
        let shared = event(RTM_NEWTFILTER, 22, 0, SHARED_BLOCK, TCA_EGRESS_REDIR);
        assert_eq!(shared, Some((None, Some(9), FilterChange::Replaced)));
    }

    #[test]
    fn shortened_messages_are_errors_or_nothing() {
        for whole in [cake(1), filter("u32", 7, "mirred", TCA_EGRESS_REDIR)] {
            for length in 0..whole.1.len() {
                let short = (whole.0, whole.1[..length].to_vec());
                let _ = (QueueEvent::parse(&read(&short)), parse_redirect(&read(&short)));
            }
            let none = (whole.0, Vec::new());
            assert!(QueueEvent::parse(&read(&none)).is_err());
        }
    }
}
