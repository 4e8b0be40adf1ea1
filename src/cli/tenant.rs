use std::process::ExitCode;

use clap::{Args, Subcommand};
use codeccloud_actors::envelope::Role;
use codeccloud_actors::ids::{TenantId, UserId};
use codeccloud_actors::ports::{Clock, Ids};
use codeccloud_actors::stage::Stage;

use super::Outcome;
use super::access::Opened;
use crate::auth::{Grant, mint};
use crate::clock::{SystemClock, SystemIds};
use crate::demo;
use crate::postgres::tenants::{self, NewTenant, TenantRow};
use crate::postgres::{DatabaseRole, PooledClient};
use crate::settings::Settings;

/// Long enough for a day's work, short enough to be forgotten in a shell history.
const TOKEN_SECONDS: i64 = 24 * 3_600;

#[derive(Args)]
pub(super) struct TokenArgs {
    /// Slug or id
    #[arg(long)]
    tenant: String,
    /// owner, manager, staff, customer, service or operator
    #[arg(long, value_parser = role, required_unless_present = "revoke_user")]
    role: Option<Role>,
    /// The user's id; a new one where it is missing
    #[arg(long)]
    user: Option<UserId>,
    /// Print no token: make void all that this user has been given for the tenant until now
    #[arg(long, value_name = "USER", conflicts_with_all = ["role", "user"])]
    revoke_user: Option<UserId>,
}

#[derive(Subcommand)]
pub(super) enum TenantCommand {
    /// Create a salon
    Create {
        #[arg(long)]
        slug: String,
        #[arg(long)]
        name: String,
        #[arg(long, default_value = "de-CH")]
        locale: String,
        #[arg(long, default_value = "Europe/Zurich")]
        time_zone: String,
        /// mvp or scale; scale where FEATURE_SCALE is on
        #[arg(long, value_parser = first_stage)]
        stage: Option<Stage>,
    },
    /// List the salons
    List {
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "one of owner, manager, staff, customer, service, operator".to_owned())
}

/// The stages between are reached by the migration.
fn first_stage(text: &str) -> Result<Stage, String> {
    Stage::parse(text)
        .filter(|stage| matches!(stage, Stage::Mvp | Stage::Scale))
        .ok_or_else(|| "a tenant begins at mvp or at scale".to_owned())
}

/// Prints the token alone, or revokes.
pub(super) async fn token(settings: Settings, args: TokenArgs) -> Outcome {
    let settings = if settings.is_embedded() { settings.with_generated_secrets()? } else { settings };
    let opened = Opened::new(&settings).await?;
    let operator = opened.client(DatabaseRole::Operator).await?;
    let tenant = tenants::find(&operator, &args.tenant).await?;
    let tenant = tenant.ok_or_else(|| format!("there is no tenant {}", args.tenant))?;
    if let Some(user_id) = args.revoke_user {
        tenants::revoke_tokens(&operator, tenant.id, user_id).await?;
    }
    if let Some(role) = args.role {
        println!("{}", mint_for(&settings, &operator, &tenant, role, args.user, &SystemIds).await?);
    }
    opened.close().await;
    Ok(ExitCode::SUCCESS)
}

/// A token, whose user is made a member where the role is a member's.
pub(super) async fn mint_for(
    settings: &Settings,
    operator: &PooledClient,
    tenant: &TenantRow,
    role: Role,
    user_id: Option<UserId>,
    ids: &dyn Ids,
) -> Result<String, Box<dyn std::error::Error>> {
    let secret = settings.auth.jwt_secret.as_ref().ok_or("auth.jwt_secret is missing, so no token can be signed")?;
    let user_id = user_id.unwrap_or_else(|| UserId(ids.uuid()));
    tenants::admit(operator, tenant.id, user_id, role).await?;
    let grant = Grant { user_id, tenant_id: tenant.id, role };
    Ok(mint(secret.expose(), grant, SystemClock.now(), TOKEN_SECONDS))
}

pub(super) async fn run(settings: Settings, command: TenantCommand) -> Outcome {
    let opened = Opened::new(&settings).await?;
    let mut operator = opened.client(DatabaseRole::Operator).await?;
    let code = match command {
        TenantCommand::Create { slug, name, locale, time_zone, stage } => {
            let stage = stage.unwrap_or_else(|| settings.scale.stage_at_creation());
            jiff::tz::TimeZone::get(&time_zone).map_err(|_| format!("there is no time zone {time_zone}"))?;
            let id = TenantId(SystemIds.uuid());
            let tenant =
                NewTenant { id, slug, name, locale, time_zone, stage, services: Vec::new(), staff: Vec::new() };
            if tenants::create(&mut operator, &tenant).await? {
                println!("{id}");
                ExitCode::SUCCESS
            } else {
                eprintln!("the slug {} is taken", tenant.slug);
                ExitCode::FAILURE
            }
        }
        TenantCommand::List { json } => {
            print_list(&tenants::list(&operator).await?, json);
            ExitCode::SUCCESS
        }
    };
    opened.close().await;
    Ok(code)
}

fn print_list(tenants: &[TenantRow], json: bool) {
    if json {
        let rows: Vec<_> = tenants
            .iter()
            .map(|t| serde_json::json!({ "id": t.id, "slug": t.slug, "name": t.name, "stage": t.stage }))
            .collect();
        println!("{}", serde_json::Value::from(rows));
        return;
    }
    println!("{:36}  {:20}  {:8}  name", "id", "slug", "stage");
    for tenant in tenants {
        let stage = tenant.stage.as_str();
        println!("{}  {:20}  {stage:8}  {}", tenant.id, tenant.slug, tenant.name);
    }
}

/// Tenants for a load test, made where they are missing, each with a token of a front-end's server.
pub(super) async fn load_access(
    settings: &Settings,
    tenants_wanted: u32,
    staff: u32,
) -> Result<Vec<crate::load::TenantAccess>, Box<dyn std::error::Error>> {
    let opened = Opened::new(settings).await?;
    let mut operator = opened.client(DatabaseRole::Operator).await?;
    let mut access = Vec::new();
    for number in 1..=tenants_wanted {
        let salon = demo::load_salon(&SystemIds, settings.scale.stage_at_creation(), number, staff);
        tenants::create(&mut operator, &salon).await?;
        let tenant = tenants::find(&operator, &salon.slug).await?.ok_or("the load tester's tenant is missing")?;
        let token = mint_for(settings, &operator, &tenant, Role::Service, None, &SystemIds).await?;
        access.push(crate::load::TenantAccess { tenant_id: tenant.id.0, token });
    }
    opened.close().await;
    Ok(access)
}
