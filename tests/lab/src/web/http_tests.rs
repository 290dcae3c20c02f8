// SPDX-License-Identifier: GPL-2.0-or-later
use super::*;
use crate::web::rpc::tests::Rig;
use std::io::Write;
use std::net::TcpStream;
use std::thread;

/// What a server over a folder answers to one request after another.
fn exchange(name: &str, commands: bool, requests: &[String]) -> Vec<String> {
    let mut rig = Rig::new(name);
    let reader = rig.login("reader");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let requests: Vec<String> = requests.iter().map(|r| r.replace("READER", &reader)).collect();
    let client = thread::spawn(move || {
        let ask = |request: &String| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).unwrap();
            reply
        };
        requests.iter().map(ask).collect::<Vec<String>>()
    });
    let mut web = Web::new(listener, rig.bridge, commands).unwrap();
    while !client.is_finished() {
        web.serve(&mut rig.told, Duration::from_millis(20)).unwrap();
    }
    client.join().unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{body}"
    )
}

fn code(reply: &str) -> &str {
    reply.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn files_and_nothing_else() {
    let view = "/luci-static/resources/view/flowtable/status.js";
    let requests =
        [get(view), get("/luci-static/../../root/etc"), get("/../../Cargo.toml"), get("/")];
    let replies = exchange("http-files", false, &requests);
    assert!(replies[0].contains("text/javascript") && replies[0].contains("'use strict'"));
    assert_eq!(code(&replies[1]), "404");
    assert_eq!(code(&replies[2]), "404");
    assert_eq!(code(&replies[3]), "302");
}

#[test]
fn commands_are_for_tests_only() {
    let request = [post("/lab/run", r#"{"command":"echo $((40+2)); exit 3"}"#)];
    assert_eq!(code(&exchange("http-no-run", false, &request)[0]), "404");
    let reply = exchange("http-run", true, &request).remove(0);
    assert!(reply.ends_with(r#"{"code":3,"output":"42"}"#), "{reply}");
}

#[test]
fn the_dispatcher_asks_who_it_is() {
    let reader = "GET /cgi-bin/luci/admin/menu HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\
                  Cookie: a=b; sysauth_http=READER\r\n\r\n";
    let requests = [
        get("/cgi-bin/luci/admin/menu"),
        reader.to_string(),
        post("/cgi-bin/luci/admin/uci/apply_rollback?sid=READER", "token=x"),
        post("/cgi-bin/luci/admin/uci/confirm?sid=READER", "token=x"),
        post("/cgi-bin/luci/admin/uci/dance", ""),
    ];
    let replies = exchange("http-dispatcher", false, &requests);
    assert!(!replies[0].contains("flowtable"), "{}", replies[0]);
    assert!(replies[1].contains("flowtable/status"), "{}", replies[1]);
    assert_eq!(code(&replies[2]), "204", "there is nothing to apply");
    assert_eq!(code(&replies[3]), "403");
    assert_eq!(code(&replies[4]), "404");
}

#[test]
fn a_page_starts_the_client_for_who_may_see_it() {
    let page = "/cgi-bin/luci/admin/status/flowtable";
    let requests = [
        get(page),
        get(&format!("{page}?account=reader")),
        get(&format!("{page}?account=stranger")),
        get("/cgi-bin/luci/admin/status/nothing"),
    ];
    let replies = exchange("http-page", false, &requests);
    assert!(replies[0].contains("instantiateView('flowtable/status')"), "{}", replies[0]);
    assert!(replies[0].contains("\"readonly\":false"), "{}", replies[0]);
    assert!(replies[0].contains("Set-Cookie: sysauth_http="), "{}", replies[0]);
    assert!(replies[1].contains("\"readonly\":true"), "{}", replies[1]);
    assert_eq!(code(&replies[2]), "404");
    assert_eq!(code(&replies[3]), "404");
}
