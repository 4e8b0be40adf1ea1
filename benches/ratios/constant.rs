//! The barest server: a handler that returns the same bytes to everyone, in a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use actix_web::{App, HttpResponse, HttpServer, web};

const BODY_BYTES: &str = "BENCH_CONSTANT_BODY_BYTES";

pub struct ConstantServer {
    child: Child,
    pub address: String,
}

impl ConstantServer {
    pub fn start(body_bytes: usize) -> ConstantServer {
        let this = std::env::current_exe().expect("a program has a path");
        let mut child = Command::new(this)
            .env(BODY_BYTES, body_bytes.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
        ConstantServer { child, address: line.trim().to_owned() }
    }
}

impl Drop for ConstantServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn is_asked_for() -> bool {
    std::env::var_os(BODY_BYTES).is_some()
}

pub fn serve() {
    let bytes = std::env::var(BODY_BYTES).ok().and_then(|text| text.parse().ok()).expect("a number of bytes");
    let body = web::Bytes::from(vec![b'x'; bytes]);
    actix::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            let body = body.clone();
            App::new().default_service(web::to(move || {
                let body = body.clone();
                async move { HttpResponse::Ok().content_type("application/json").body(body) }
            }))
        })
        .workers(2)
        .bind("127.0.0.1:0")
        .expect("a free port");
        println!("{}", server.addrs()[0]);
        server.run().await.expect("serves");
    });
}
