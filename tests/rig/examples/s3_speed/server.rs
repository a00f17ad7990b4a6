//! The server, in a process of its own, so that what it takes of the processors can be told.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use tokio::runtime::Runtime;
use towpath_rig::{BUCKET, Store, client};

/// The argument with which this program is the server.
pub const SERVE: &str = "serve";
/// Of a processor's second, as `/proc` counts.
const TICKS: f64 = 100.0;

/// Says where it is reached, by which process and by which program, and serves until its input ends.
pub fn serve() {
    let names = Store::names();
    let store = Store::named(names.last().unwrap());
    println!("{} {} {}", store.endpoint(), store.pid(), store.name);
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

/// A running server; ends with this process.
pub struct Server {
    pub name: String,
    pub endpoint: String,
    pub client: Client,
    pub runtime: Runtime,
    pid: u32,
    _process: Child,
}

impl Server {
    pub fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = String::new();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        out.read_line(&mut told).unwrap();
        let mut words = told.split_whitespace();
        let mut word = || words.next().unwrap().to_owned();
        let (endpoint, pid, name) = (word(), word(), word());
        // As the sink is configured.
        let config = client(&endpoint)
            .config()
            .to_builder()
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .build();
        Self {
            name,
            endpoint,
            client: Client::from_conf(config),
            runtime: Runtime::new().unwrap(),
            pid: pid.parse().unwrap(),
            _process: process,
        }
    }

    /// Processor seconds that it has taken.
    pub fn cpu(&self) -> f64 {
        let fields = stat(&self.pid.to_string());
        fields[0] + fields[1]
    }

    /// Every object and its size.
    pub fn objects(&self) -> Vec<(String, u64)> {
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(BUCKET)
            .into_paginator()
            .send();
        let mut objects = Vec::new();
        while let Some(page) = self.runtime.block_on(pages.next()) {
            let found = page.unwrap().contents.unwrap_or_default();
            objects.extend(found.into_iter().map(|object| {
                let size = object.size.unwrap_or_default();
                (object.key.unwrap_or_default(), size as u64)
            }));
        }
        objects
    }

    /// Deletes every object.
    pub fn clear(&self) {
        for (key, _) in self.objects() {
            let delete = self.client.delete_object().bucket(BUCKET).key(key);
            self.runtime.block_on(delete.send()).unwrap();
        }
    }
}

/// Processor seconds of a process: its own in user and system mode, and those of processes that it
/// has waited for.
pub fn stat(pid: &str) -> [f64; 4] {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name of the program may have spaces in it.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    [11, 12, 13, 14].map(|at| fields[at].parse::<f64>().unwrap() / TICKS)
}
