use std::process::ExitCode;

use clap::Args;
use codeccloud_actors::envelope::Role;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Outcome;
use super::access::Opened;
use crate::app::{App, StartError};
use crate::clock::SystemIds;
use crate::demo;
use crate::postgres::{DatabaseRole, tenants};
use crate::settings::Settings;
use crate::telemetry::{self, Prometheus};

use super::tenant::mint_for;

#[derive(Args)]
pub(super) struct ServeArgs {
    /// Where to listen, such as 127.0.0.1:8080; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Bring along demo salons, and don't limit rates
    #[arg(long)]
    pub demo: bool,
}

pub(super) fn run(settings: Settings, args: &ServeArgs) -> Outcome {
    let settings = if settings.is_embedded() { settings.with_generated_secrets()? } else { settings };
    let _telemetry = telemetry::start(&settings.log, &settings.telemetry)?;
    let metrics = Prometheus::install();
    // Journal lanes and database connections must not wait for the workers. Among themselves they only pass bytes on: one
    // thread has time for that, and more would only wake each other up.
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_name("codeccloud-io")
            .build()
            .expect("threads can be started")
    });
    system.block_on(serve(settings, args.demo, metrics))
}

async fn serve(settings: Settings, with_demo: bool, metrics: Prometheus) -> Outcome {
    let mut signals = Signals::of_process()?;
    let app = match App::start(&settings, with_demo, metrics, signals.next()).await {
        Ok(app) => app,
        Err(StartError::Interrupted) => return Ok(ExitCode::SUCCESS),
        Err(error) => return Err(error.into()),
    };
    tracing::info!(address = %app.address, "listening");
    let serving = async {
        if with_demo {
            greet(&settings, &app).await;
        } else {
            println!("listening on http://{}", app.address);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serving => {}
        () = signals.next() => {}
    }
    tracing::info!("stopping");
    app.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Those that ask the server to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From here on they end the process only when it asks for them.
    fn of_process() -> std::io::Result<Signals> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// What someone who just typed `make run` wants to know. Whatever of it can't be had, the server serves without.
async fn greet(settings: &Settings, app: &App) {
    let url = format!("http://{}", app.address);
    println!(
        "\nCodecCloud is running.\n\n  \
         API       {url}/v1\n  docs      {url}/docs  (OpenAPI: {url}/openapi.json)\n  \
         day view  {url}/admin  (log in with a token)\n  health    {url}/health/ready\n  metrics   {url}/metrics\n"
    );
    match example(settings, app, &url).await {
        Ok(example) => println!("{example}\n"),
        Err(reason) => println!("There is no example of a booking: {reason}.\n"),
    }
    println!("Ctrl-C stops the server and its database.\n");
}

/// A token, and with it a booking to be pasted into a shell where the salon has a free slot.
async fn example(settings: &Settings, app: &App, url: &str) -> Result<String, Box<dyn std::error::Error>> {
    let opened = Opened::new(settings).await?;
    let operator = opened.client(DatabaseRole::Operator).await?;
    let salon = tenants::find(&operator, demo::SALON).await?.ok_or("the demo salon is missing")?;
    let token = mint_for(settings, &operator, &salon, Role::Owner, app.owner_of(salon.id), &SystemIds).await?;
    opened.close().await;
    let token_line = format!("A token for {} (owner):\n\n{token}\n\n", salon.name);
    let Some(booking) = app.example_booking(salon.id).await else {
        return Ok(format!("{token_line}It has no service, or no free slot for a week, so there is nothing to book."));
    };
    Ok(format!(
        "{token_line}Make a booking:\n\n\
         curl -s {url}/v1/bookings -H 'Content-Type: application/json' -H 'Authorization: Bearer {token}' \\\n  \
         -H 'X-Workspace-ID: {tenant}' -H \"Idempotency-Key: demo-$(date +%s%N)-booking\" \\\n  \
         -d '{booking}'",
        tenant = salon.id,
    ))
}
