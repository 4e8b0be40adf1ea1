use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::Outcome;
use crate::app::App;
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
    let embedded = settings.is_embedded();
    let settings = if embedded { settings.with_generated_secrets()? } else { settings };
    if let Err(faults) = settings.check_for_start(embedded) {
        faults.iter().for_each(|fault| eprintln!("{fault}"));
        return Ok(ExitCode::from(2));
    }
    if !settings.scale.feature {
        eprintln!("scale.feature: this version runs in scale mode only; set FEATURE_SCALE=on");
        return Ok(ExitCode::from(2));
    }
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
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let app = App::start(&settings, with_demo, metrics).await?;
    tracing::info!(address = %app.address, "listening");
    if with_demo {
        greet(&settings, &app).await?;
    } else {
        println!("listening on http://{}", app.address);
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    app.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// What someone who just typed `make run` wants to know.
async fn greet(settings: &Settings, app: &App) -> Result<(), Box<dyn std::error::Error>> {
    let url = format!("http://{}", app.address);
    let opened = super::access::Opened::new(settings).await?;
    let operator = opened.client(DatabaseRole::Operator).await?;
    let salon = tenants::find(&operator, demo::SALON).await?.ok_or("the demo salon is missing")?;
    let token =
        mint_for(settings, &operator, &salon, codeccloud_actors::envelope::Role::Owner, None, &SystemIds).await?;
    let booking = app.example_booking(salon.id).await.ok_or("the demo salon has no free slot")?;
    println!(
        "\nCodecCloud is running.\n\n  \
         API       {url}/v1\n  docs      {url}/docs  (OpenAPI: {url}/openapi.json)\n  \
         day view  {url}/admin  (log in with the token below)\n  health    {url}/health/ready\n  metrics   {url}/metrics\n\n\
         A token for {name} (owner):\n\n{token}\n\nMake a booking:\n\n\
         curl -s {url}/v1/bookings -H 'Content-Type: application/json' -H 'Authorization: Bearer {token}' \\\n  \
         -H 'X-Workspace-ID: {tenant}' -H \"Idempotency-Key: demo-$(date +%s%N)-booking\" \\\n  \
         -d '{booking}'\n\nCtrl-C stops the server and its database.\n",
        name = salon.name,
        tenant = salon.id,
    );
    opened.close().await;
    Ok(())
}
