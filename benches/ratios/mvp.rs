//! The database of an MVP deployment, made by its description, and pgbench on it.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use codeccloud::postgres::embedded::EmbeddedPostgres;

use super::database::{BenchDir, as_superuser, connect};

const PLATFORM: &str = include_str!("../../tests/integration/support/mvp/platform.sql");
const SCHEMA: &str = include_str!("../../tests/integration/support/mvp/schema.sql");
const BOOKING: &str = include_str!("booking.pgbench");
/// As many as it is fastest with on two cores.
const CLIENTS: u32 = 32;
/// Days that bookings lie in, and half hours of each.
const DAYS: u64 = 730;
const HALF_HOURS: u64 = 20;

#[derive(Clone, Copy)]
pub struct Shape {
    pub salons: u32,
    /// In each salon.
    pub staff: u32,
}

pub struct MvpDatabase {
    postgres: EmbeddedPostgres,
    dir: BenchDir,
    shape: Shape,
    /// How many bookings there may be already: no two take the same slot.
    booked: AtomicU64,
}

impl MvpDatabase {
    pub async fn create(shape: Shape) -> MvpDatabase {
        let dir = BenchDir::new();
        let postgres = EmbeddedPostgres::start(dir.path()).await.expect("PostgreSQL starts");
        let platform = connect(&as_superuser(&postgres.url())).await;
        let roles = "create role anon nologin; create role authenticated nologin;
                     create role service_role nologin bypassrls;
                     create role salon_owner login createrole bypassrls; grant anon, authenticated to salon_owner";
        platform.batch_execute(roles).await.expect("the roles are new");
        platform.batch_execute("create database salon owner salon_owner").await.expect("the database is new");
        let database = MvpDatabase { postgres, dir, shape, booked: AtomicU64::new(0) };
        connect(&database.url("codeccloud_bootstrap")).await.batch_execute(PLATFORM).await.expect("valid");
        let owner = connect(&database.url("salon_owner")).await;
        owner.batch_execute(SCHEMA).await.expect("valid");
        owner.batch_execute(MONTHS_AHEAD).await.expect("valid");
        let Shape { salons, staff } = shape;
        owner
            .batch_execute(&format!("set bench.salons = {salons}; set bench.staff = {staff}; {SALONS}"))
            .await
            .expect("valid");
        database
    }

    fn url(&self, login: &str) -> String {
        let url = self.postgres.url().replacen("codeccloud@", &format!("{login}@"), 1);
        format!("{}/salon", url.rsplit_once('/').expect("a URL names its database").0)
    }

    pub async fn bookings_per_second(&self, seconds: u32) -> f64 {
        let script = self.dir.path().join("booking.pgbench");
        std::fs::write(&script, BOOKING).expect("written");
        let staff = u64::from(self.shape.salons * self.shape.staff);
        let postmaster = format!("/proc/{}/exe", self.postgres.pid().expect("PostgreSQL runs"));
        let mut command = Command::new(std::fs::read_link(postmaster).expect("a program").with_file_name("pgbench"));
        for (name, value) in [
            ("staff", staff),
            ("staff_of_salon", u64::from(self.shape.staff)),
            ("clients", u64::from(CLIENTS)),
            ("slots", staff * DAYS * HALF_HOURS),
            ("booked", self.booked.load(Ordering::Relaxed)),
            ("turn", 0),
        ] {
            command.arg("-D").arg(format!("{name}={value}"));
        }
        let connections =
            ["--client", &CLIENTS.to_string(), "--jobs", "2", "--time", &seconds.to_string()].map(str::to_owned);
        command.args(connections).args(["--protocol", "prepared", "--no-vacuum", "--file"]).arg(&script);
        command.arg(self.url("salon_owner"));
        let output = tokio::process::Command::from(command).output().await.expect("pgbench runs");
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "pgbench failed: {report}{}", String::from_utf8_lossy(&output.stderr));
        let behind = |label: &str| {
            let line = report.lines().find_map(|line| line.trim().strip_prefix(label)).expect("pgbench says it");
            line.split_whitespace().next().and_then(|text| text.parse::<f64>().ok()).expect("a number")
        };
        // Clients advance at their own pace.
        self.booked.fetch_add(4 * behind("number of transactions actually processed:") as u64, Ordering::Relaxed);
        behind("tps =")
    }

    pub async fn stop(self) {
        self.postgres.stop().await;
    }
}

const MONTHS_AHEAD: &str = "do $$
declare
    month timestamptz;
    target text;
begin
    for month in select date_trunc('month', now(), 'UTC') + make_interval(months => n) from generate_series(6, 26) n loop
        target := 'appointments_' || to_char(month at time zone 'UTC', 'YYYYMM');
        execute format('create table public.%I partition of public.appointments for values from (%L) to (%L)',
            target, month, month + interval '1 month');
        execute format(
            'alter table public.%I add constraint %I exclude using gist (tenant_id with =, staff_id with =, slot with &&)'
            ' where (status in (''scheduled'', ''confirmed'', ''checked_in''))', target, 'no_overlap_' || target);
        perform app_private.tenant_policies(target);
    end loop;
end
$$";

const SALONS: &str = "
create function pg_temp.id(kind text, number int) returns uuid language sql as $$ select md5(kind || number)::uuid $$;
insert into tenants (id, slug, name)
select pg_temp.id('salon', n), 'salon-' || n, 'Salon ' || n from generate_series(0, current_setting('bench.salons')::int - 1) n;
insert into tenant_members (tenant_id, user_id, role, accepted_at) select id, id, 'owner', now() from tenants;
insert into appointment_services (tenant_id, id, name, duration_minutes, price_cents) select id, id, 'Cut', 30, 6000 from tenants;
insert into staff_profiles (id, tenant_id, display_name)
select pg_temp.id('staff', n), pg_temp.id('salon', n / current_setting('bench.staff')::int), 'Person ' || n
from generate_series(0, current_setting('bench.salons')::int * current_setting('bench.staff')::int - 1) n;
analyze";
