//! nginx: one worker, prefix locations, access log in its usual form, buffered.

use std::fmt::Write as _;
use std::process::Command;

use super::{Peer, Ports, Running, Start, write};
use crate::process::{Program, local};

pub(super) fn start(start: &Start<'_>, ports: Ports) -> anyhow::Result<Running> {
    let mut locations = String::new();
    for route in 0..start.setup.routes {
        let _ = writeln!(locations, "    location /r{route}/ {{ proxy_pass http://upstream; }}");
    }
    let folder = start.folder.display();
    let Ports { http, h2c, tls } = ports;
    let text = format!(
        r#"worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log {folder}/access.log combined buffer=64k flush=1s;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  tcp_nodelay on;
  upstream upstream {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000; }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $http_host;
  server {{
    listen 127.0.0.1:{http} backlog=4096;
    listen 127.0.0.1:{h2c} http2 backlog=4096;
    listen 127.0.0.1:{tls} ssl http2 backlog=4096;
    ssl_certificate {chain};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
{locations}  }}
}}
"#,
        upstream = start.upstream,
        chain = start.certificate.chain.display(),
        key = start.certificate.key.display(),
    );
    let file = write(start, "nginx.conf", &text)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(start.folder).arg("-c").arg(file);
    let program = Program::start("nginx", &mut command, start.folder, local(http))?;
    Ok(Running { peer: Peer::Nginx, program, ports, viewer: None })
}
