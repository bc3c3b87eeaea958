//! HAProxy: one thread, prefixes looked up in a map, so that their number costs it little.

use std::fmt::Write as _;
use std::process::Command;

use super::{Peer, Ports, Running, Start, write};
use crate::process::{Program, local};

pub(super) fn start(start: &Start<'_>, ports: Ports) -> anyhow::Result<Running> {
    let mut routes = String::new();
    for route in 0..start.setup.routes {
        let _ = writeln!(routes, "/r{route}/ upstream");
    }
    let map = write(start, "routes.map", &routes)?;
    let Ports { http, h2c, tls } = ports;
    let text = format!(
        "global
  nbthread 1
  maxconn 8000
  stats socket {socket} mode 600
  log 127.0.0.1:9 local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:{http} backlog 4096
  bind 127.0.0.1:{h2c} proto h2 backlog 4096
  bind 127.0.0.1:{tls} ssl crt {joined} alpn h2,http/1.1 backlog 4096
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Real-IP %[src]
  use_backend %[path,map_beg({map},none)]
backend none
  http-request return status 404
backend upstream
  server one 127.0.0.1:{upstream}
",
        socket = start.folder.join("haproxy.sock").display(),
        joined = start.certificate.joined.display(),
        map = map.display(),
        upstream = start.upstream,
    );
    let file = write(start, "haproxy.cfg", &text)?;
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(file);
    let program = Program::start("haproxy", &mut command, start.folder, local(http))?;
    Ok(Running { peer: Peer::Haproxy, program, ports, viewer: None })
}
