// SPDX-License-Identifier: GPL-2.0-or-later
//! The program that runs inside the lab's virtual machine; started by `guest/init`.

use lab::error::{Context, Error, Result};
use lab::guest::{
    capture, capture_route, capture_xfrm, churn, forwarding, live, memory, page, peer, peers, plan,
    reactions, witness,
};
use std::process::ExitCode;

fn act(args: &[&str]) -> Result<()> {
    match args {
        ["run"] => plan::run_all(),
        ["shell" | "shell-off"] => {
            let inner = format!("{}-inside", args.concat());
            plan::in_router(&[&inner], None)
        }
        ["live" | "live-off" | "browser"] => {
            let inner = format!("{}-inside", args.concat());
            plan::in_router_with(&[&inner], None, page::listener()?)
        }
        ["churn", protocol, to, count, rate] => {
            let to = to.parse().context("address")?;
            churn::run(protocol, to, count.parse().context("count")?, rate.parse().context("rate")?)
        }
        ["entries", number] => memory::entries(number.parse().context("how many")?),
        ["memory"] => memory::report(),
        ["memory-inside"] => memory::measure(),
        ["reactions"] => reactions::report(),
        ["reaction", part] => reactions::measure(part),
        ["forwarding"] => forwarding::report(),
        ["forwarding-inside", kind, contestant] => forwarding::measure(kind, contestant),
        ["generator"] => forwarding::generator::serve(),
        ["scenario", name] => plan::run_one(name),
        ["live-inside"] => live::show(false),
        ["live-off-inside"] => live::show(true),
        ["browser-inside"] => page::serve(),
        ["shell-inside"] => live::shell(false),
        ["shell-off-inside"] => live::shell(true),
        ["peers"] => peers::serve(),
        ["capture"] => capture::capture(),
        ["capture", "conntrack"] => capture::capture_conntrack(),
        ["capture", "route"] => capture_route::capture(),
        ["capture", "xfrm"] => capture_xfrm::capture(),
        ["echo", protocol, port] => peer::echo(protocol, port.parse().context("port")?),
        ["client", protocol, to] => peer::client(protocol, to.parse().context("address")?),
        ["witness"] => witness::serve(),
        _ => Err(Error::new(format!("not for use by hand: {args:?}"))),
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match act(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("lab-guest: {e}");
            ExitCode::FAILURE
        }
    }
}
