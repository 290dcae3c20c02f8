// SPDX-License-Identifier: GPL-2.0-or-later
//! From a change of the settings to the kernel's new generation, against a reload of firewall4 and a
//! file with nothing but a flowtable, and what a steady stream loses meanwhile.
//!
//! Ours begins with the writing of the file, and `reload` is called on the bus; theirs begin with the
//! start of nft, for what firewall4 does to write its ruleset is not the lab's stand-in's to show; a
//! whole reload is measured where there is the real one.
//! All begin when what was done before has come to rest, and end with the word of the kernel that the
//! commit is done. While a peer is measured the daemon does not run.

use super::minimal;
use super::router::{Router, DAEMON, OFFLOADED};
use super::watch::{Told, Watch};
use super::whole_reload::WholeReload;
use crate::bench::figure::{median, milliseconds, Bound, Figure};
use crate::command::run;
use crate::console::Report;
use crate::error::{Context, Error, Result};
use crate::guest::{files, look, CONFIG_DIR, UBUS_SOCKET};
use flowtabled::cli::client::Client;
use flowtabled::core::evict::Cause;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use ubus::BlobMsgTable;

const ROUNDS: usize = 3;
/// A reload of firewall4 takes at least so many times as long.
const TIMES: f64 = 20.0;
const PATIENCE: Duration = Duration::from_secs(20);
/// Before each change and each load: one right behind another takes up to 8 ms longer.
const REST: Duration = Duration::from_millis(500);

/// What firewall4's stand-in has written last.
const FIREWALL4: &str = "/tmp/lab/fw4.ruleset";
/// A rule more.
const RULE: &str = "
config rule
    option name 'measured'
    option proto 'udp'
    option dest_port '9'
    option target 'bypass'
";
/// The stand-in's ruleset in place of whatever a round has left.
const STAND_IN: &str = "run /lab/openwrt/fw4 reload";
/// firewall4 alone, with a ruleset that begins by taking its own flowtable away.
const ALONE: &str = r#"
daemon stop
run /lab/openwrt/fw4 reload
run /lab/openwrt/fw4 reload
expect output "grep delete /tmp/lab/fw4.ruleset" == "delete flowtable inet fw4 ft"
"#;

/// What a round has found, in milliseconds.
#[derive(Debug)]
struct Round {
    rule: f64,
    off: f64,
    on: f64,
    script: f64,
    firewall4: f64,
    stand_in: f64,
    minimal: f64,
    /// Of the real firewall4, where there is one.
    whole: Option<f64>,
}

/// One of the times of a round.
type Of = fn(&Round) -> f64;

/// What all rounds have lost.
#[derive(Default)]
struct Lost {
    ours: u64,
    firewall4: u64,
}

/// All figures of settings.
///
/// # Errors
/// Something cannot be measured.
pub fn measure() -> Result<Vec<Figure>> {
    let mut router = Router::new()?;
    minimal::write()?;
    let real = WholeReload::start()?;
    router.perform("flow dns udp4 lan -> wan\nsteady dns start")?;
    let mut lost = Lost::default();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let round = round(&mut router, real.as_ref(), &mut lost)?;
        Report::Phase(format!("{round:?}")).send();
        rounds.push(round);
    }
    Ok(figures(&rounds, &lost))
}

fn round(router: &mut Router, real: Option<&WholeReload>, lost: &mut Lost) -> Result<Round> {
    router.perform(STAND_IN)?;
    router.perform(DAEMON)?;
    router.perform(OFFLOADED)?;
    let switched = fs::read_to_string(format!("{CONFIG_DIR}/firewall")).context("firewall")?;
    let off_text = switched.replace("flow_offloading '1'", "flow_offloading '0'");
    router.perform("steady dns mark")?;
    let rule = change(&router.watch, ("flowtable", RULE), by_bus)?;
    // Flows are handed back for the same cause after a pause; in it a change takes two commits.
    thread::sleep(Cause::Settings.pause());
    let script = change(&router.watch, ("flowtable", ""), by_script)?;
    let off = change(&router.watch, ("firewall", &off_text), by_bus)?;
    router.perform("eventually 20s path dns == \"assured\"")?;
    let on = change(&router.watch, ("firewall", &switched), by_bus)?;
    router.perform(OFFLOADED)?;
    lost.ours += router.steady("dns", "/lost")?;

    router.perform(ALONE)?;
    router.perform(OFFLOADED)?;
    router.perform("steady dns mark")?;
    let firewall4 = load(&router.watch, Command::new("nft").args(["-f", FIREWALL4]))?;
    let stand_in = load(&router.watch, Command::new("/lab/openwrt/fw4").arg("reload"))?;
    router.perform(OFFLOADED)?;
    lost.firewall4 += router.steady("dns", "/lost")?;
    load(&router.watch, Command::new("nft").args(["-f", minimal::FILE]))?;
    let minimal = load(&router.watch, Command::new("nft").args(["-f", minimal::FILE]))?;
    minimal::delete()?;
    let whole = real.map(|real| load(&router.watch, &mut real.command())).transpose()?;
    Ok(Round { rule, off, on, script, firewall4, stand_in, minimal, whole })
}

/// Writes a file of the configuration, has the daemon read it, and waits for the commit.
fn change(watch: &Watch, (file, text): (&str, &str), reload: fn() -> Result<()>) -> Result<f64> {
    let ours = Told::Commit("flowtabled".into());
    thread::sleep(REST);
    let commits = || look::status("/commits");
    let before = commits()?.as_u64().context("no count of commits")?;
    watch.forget();
    let begun = Instant::now();
    files::write_config(file, text)?;
    reload()?;
    let done = watch.wait(&ours)?;
    // Asked behind it, so that all that follows from the change is over.
    let after = commits()?.as_u64();
    if after != Some(before + 1) || watch.more(&ours)? > 0 {
        let line = format!("a change of {file} took more than one commit: {before} to {after:?}");
        return Err(Error::new(line));
    }
    Ok(milliseconds(done.duration_since(begun)))
}

fn by_bus() -> Result<()> {
    let mut client =
        Client::connect(&[UBUS_SOCKET.into()], Instant::now() + PATIENCE).context("bus")?;
    client.call("reload", &BlobMsgTable::empty()).context("reload").map(drop)
}

/// As procd does it when `reload_config` has told it of the change.
fn by_script() -> Result<()> {
    let words = ["ash", "/lab/openwrt/rc.common", "/lab/files/etc/init.d/flowtabled", "reload"];
    run(Command::new("busybox").args(words)).map(drop)
}

/// Has a ruleset loaded and waits for the commit.
fn load(watch: &Watch, command: &mut Command) -> Result<f64> {
    thread::sleep(REST);
    watch.forget();
    let begun = Instant::now();
    run(command)?;
    let done = watch.wait(&Told::Commit("nft".into()))?;
    Ok(milliseconds(done.duration_since(begun)))
}

fn figures(rounds: &[Round], lost: &Lost) -> Vec<Figure> {
    let middle = |of: Of| median(&rounds.iter().map(of).collect::<Vec<_>>());
    let ours: [(&str, Of); 3] = [
        ("a rule more", |round| round.rule),
        ("switched off", |round| round.off),
        ("switched on", |round| round.on),
    ];
    let mut figures = Vec::new();
    for (name, of) in ours {
        let figure =
            Figure::new(format!("settings changed to committed, {name}"), middle(of), "ms");
        let figure = figure.peer("firewall4's ruleset by nft", middle(|round| round.firewall4));
        figures.push(figure.peer("only a flowtable by nft", middle(|round| round.minimal)));
    }
    let through =
        Figure::new("the same through the init script", middle(|round| round.script), "ms");
    figures.push(through.peer("firewall4's stand-in, reload", middle(|round| round.stand_in)));
    // The bound is about all that a reload does; where only a part of it can be had, that has to do.
    let whole: Option<Vec<f64>> = rounds.iter().map(|round| round.whole).collect();
    let judged = match &whole {
        Some(whole) => {
            let name = "firewall4's whole reload to committed";
            figures.push(Figure::new(name, median(whole), "ms"));
            ("firewall4's whole reload", (|round| round.whole.unwrap_or(f64::NAN)) as Of)
        }
        None => ("firewall4's ruleset", (|round| round.firewall4) as Of),
    };
    for (name, of) in ours {
        let times = |peer: Of| {
            let all = rounds.iter().map(|round| peer(round) / of(round));
            median(&all.collect::<Vec<_>>())
        };
        let (peer, time) = judged;
        let figure = Figure::new(format!("{peer} against ours, {name}"), times(time), "times");
        let figure = figure.bound(Bound::AtLeast(TIMES));
        let figure = figure.peer("the ruleset by nft", times(|round| round.firewall4));
        figures.push(figure.peer("only a flowtable by nft", times(|round| round.minimal)));
    }
    let changes = format!("packets lost over {} changes", 4 * rounds.len());
    let figure = Figure::new(changes, lost.ours as f64, "").bound(Bound::AtMost(0.0));
    let name = format!("firewall4, over {} reloads", 2 * rounds.len());
    figures.push(figure.peer(name, lost.firewall4 as f64));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_their_own_round() {
        let round = |ours: f64, firewall4: f64| Round {
            rule: ours,
            off: 2.0 * ours,
            on: 4.0 * ours,
            script: 9.0,
            firewall4,
            stand_in: 8.0,
            minimal: 6.0,
            whole: None,
        };
        // A machine that is busy in one round slows both.
        let rounds = [round(1.0, 80.0), round(10.0, 800.0), round(2.0, 20.0)];
        let figures = figures(&rounds, &Lost { ours: 1, firewall4: 2 });
        let holds: Vec<(f64, Option<bool>)> =
            figures.iter().map(|figure| (figure.value, figure.holds())).collect();
        let shown = [(2.0, None), (4.0, None), (8.0, None), (9.0, None)];
        let judged =
            [(80.0, Some(true)), (40.0, Some(true)), (20.0, Some(true)), (1.0, Some(false))];
        assert_eq!(holds, [shown, judged].concat());
        assert_eq!(figures[7].figure, "packets lost over 12 changes");
        assert_eq!(figures[7].peers, [("firewall4, over 6 reloads".to_string(), 2.0)]);

        // With the real firewall4 its whole reload is judged, and its part is shown beside.
        let mut rounds = rounds;
        rounds.iter_mut().for_each(|round| round.whole = Some(2.0 * round.firewall4));
        let figures = super::figures(&rounds, &Lost::default());
        let whole = |figure: &&Figure| figure.figure.starts_with("firewall4's whole reload");
        let whole: Vec<_> = figures.iter().filter(whole).map(|f| (f.value, f.holds())).collect();
        assert_eq!(whole[0], (160.0, None));
        assert_eq!(whole[1..], [80.0, 40.0, 20.0].map(|times| (2.0 * times, Some(true))));
        let rule = figures.iter().find(|figure| figure.figure.ends_with("ours, a rule more"));
        assert_eq!(rule.unwrap().peers[0].1, 80.0);
    }
}
