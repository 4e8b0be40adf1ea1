//! A database that an existing deployment runs: made by the description of the MVP, not by our own migrations, and owned by
//! a login with no more rights than a hosting platform gives.

use codeccloud::postgres::embedded::EmbeddedPostgres;
use tokio_postgres::Client;

use super::{TestDir, connect};

const PLATFORM: &str = include_str!("platform.sql");
const SCHEMA: &str = include_str!("schema.sql");
const DATA: &str = include_str!("data.sql");

/// What the owner's login may do. Superuser is not among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerRights {
    /// Makes roles; row security holds for it too.
    CreateRole,
    /// No role may be made: an administrator has to.
    Nothing,
    /// Row security does not hold for it, as on Supabase.
    BypassRowSecurity,
}

/// In what a deployment has strayed from the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variation {
    ExtraColumn,
    MissingIndex,
    DisabledTrigger,
    MissingMonth,
    RenamedSequences,
    /// Those of appointments stand on each month; in the present one some are switched otherwise. On products one of them has
    /// a condition.
    MonthlyTriggers,
    /// Policies that name no role, whose functions not everybody may execute.
    PoliciesForEverybody,
}

impl Variation {
    fn sql(self) -> &'static str {
        match self {
            Variation::ExtraColumn => "alter table appointments add column source_channel text default 'portal'",
            Variation::MissingIndex => "alter table appointments drop constraint appointments_code_unique",
            Variation::DisabledTrigger => "alter table products disable trigger on_products_audit",
            Variation::RenamedSequences => {
                "alter sequence audit_log_id_seq rename to audit_numbers; alter sequence outbox_events_id_seq rename to numbers"
            }
            Variation::MonthlyTriggers => {
                "do $$
                declare
                    found record;
                    month text;
                begin
                    for found in select tgname, pg_get_triggerdef(oid) as definition from pg_trigger
                        where tgrelid = 'appointments'::regclass and tgname like 'on\\_%'
                    loop
                        execute format('drop trigger %I on appointments', found.tgname);
                        for month in select inhrelid::regclass::text from pg_inherits where inhparent = 'appointments'::regclass
                        loop
                            execute replace(found.definition, ' ON public.appointments ', format(' ON %s ', month));
                        end loop;
                    end loop;
                    month := to_char(now() at time zone 'UTC', 'YYYYMM');
                    execute format('alter table appointments_%s disable trigger on_appointments_event', month);
                    execute format('alter table appointments_%s enable always trigger on_appointments_audit', month);
                    execute format('alter table only appointments_%s disable trigger aa_sync_slot', month);
                    drop trigger on_products_audit on products;
                    create trigger on_products_audit after insert or update on products for each row
                        when (new.price_cents > 0 and new.name <> 'a) EXECUTE FUNCTION (b') execute function log_row_change();
                end
                $$"
            }
            Variation::PoliciesForEverybody => {
                "do $$
                declare
                    found record;
                begin
                    for found in select policyname, tablename from pg_policies where schemaname = 'public' loop
                        execute format('alter policy %I on %I to public', found.policyname, found.tablename);
                    end loop;
                    revoke execute on all functions in schema app_private, auth from public;
                    grant execute on all functions in schema app_private, auth to authenticated;
                end
                $$"
            }
            Variation::MissingMonth => {
                "do $$
                declare
                    month text := to_char(now() - interval '5 months', 'YYYYMM');
                begin
                    execute 'alter table resource_allocations disable trigger user';
                    execute format('delete from resource_allocations where appointment_slot_start in
                        (select slot_start from appointments_%s)', month);
                    execute format('alter table appointments_%s disable trigger user', month);
                    execute format('delete from appointments_%s', month);
                    execute 'alter table resource_allocations enable trigger user';
                    execute format('alter table appointments detach partition appointments_%s', month);
                    execute format('drop table appointments_%s', month);
                end
                $$"
            }
        }
    }
}

/// A PostgreSQL of its own with the MVP's database in it. It ends with the test's runtime.
pub struct MvpDatabase {
    postgres: EmbeddedPostgres,
    _dir: TestDir,
}

impl MvpDatabase {
    pub async fn create(rights: OwnerRights, appointments: u32) -> MvpDatabase {
        let dir = TestDir::new();
        let postgres = EmbeddedPostgres::start_with(dir.path(), &[("fsync", "off")]).await.unwrap();
        let database = MvpDatabase { postgres, _dir: dir };
        let rights = match rights {
            OwnerRights::CreateRole => "createrole",
            OwnerRights::Nothing => "",
            OwnerRights::BypassRowSecurity => "createrole bypassrls",
        };
        let platform = connect(&database.postgres.url().replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
        let roles = format!(
            "create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls;
             create role salon_owner login {rights}; grant anon, authenticated to salon_owner"
        );
        platform.batch_execute(&roles).await.unwrap();
        platform.batch_execute("create database salon owner salon_owner").await.unwrap();
        let superuser = database.superuser().await;
        superuser.batch_execute(PLATFORM).await.unwrap();
        database.owner().await.batch_execute(SCHEMA).await.unwrap();
        superuser.batch_execute(&format!("set mvp.appointments = {appointments}; {DATA}")).await.unwrap();
        database
    }

    pub async fn vary(&self, variation: Variation) {
        self.superuser().await.batch_execute(variation.sql()).await.unwrap();
    }

    pub fn url(&self) -> String {
        self.url_of("salon_owner")
    }

    pub async fn owner(&self) -> Client {
        connect(&self.url()).await
    }

    pub async fn superuser(&self) -> Client {
        connect(&self.url_of("codeccloud_bootstrap")).await
    }

    /// The embedded cluster lets in whoever reaches its socket.
    fn url_of(&self, login: &str) -> String {
        let url = self.postgres.url().replacen("codeccloud@", &format!("{login}@"), 1);
        format!("{}/salon", url.rsplit_once('/').unwrap().0)
    }
}
