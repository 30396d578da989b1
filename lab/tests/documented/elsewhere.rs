//! The commands of the documents that no machine of the lab can run, and who else does.

/// A line as the document has it without its comment, and why it is not run.
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[
    ("aws ec2 describe-vpn-connections --vpn-connection-ids vpn-0a1b2c3d4e5f60718 > vpn.json", AWS_CLI),
    ("az network vpn-connection show -g rg -n site-to-azure > connection.json", AZURE_CLI),
    ("az network vnet-gateway show -g rg -n vpngw > gateway.json", AZURE_CLI),
    ("az network local-gateway show -g rg -n onprem > local.json", AZURE_CLI),
    (
        "az network vpn-connection shared-key show -g rg --connection-name site-to-azure --query value -o tsv > key",
        AZURE_CLI,
    ),
    (
        "gcloud compute vpn-tunnels describe to-site-0 --region europe-west6 --format=json > tunnel-0.json",
        GOOGLE_CLI,
    ),
    (
        "gcloud compute vpn-tunnels describe to-site-1 --region europe-west6 --format=json > tunnel-1.json",
        GOOGLE_CLI,
    ),
    (
        "gcloud compute vpn-gateways describe ha-vpn --region europe-west6 --format=json > gateway.json",
        GOOGLE_CLI,
    ),
    (
        "gcloud compute routers describe cloud-router --region europe-west6 --format=json > router.json",
        GOOGLE_CLI,
    ),
    ("gotthard export bird > /etc/bird/gotthard.conf && birdc configure", EXTERNAL),
    ("gotthard export frr aws-prod > aws-prod.conf && vtysh -f aws-prod.conf", EXTERNAL),
    ("cargo run --release -- demo", STEP),
    ("cargo xtask test", STEP),
    (
        "sudo apt-get install charon-systemd ethtool iperf3 iproute2 iputils-ping libcharon-extra-plugins \
         libstrongswan-standard-plugins nftables strongswan-swanctl wireguard-go wireguard-tools fonts-dejavu-core",
        MEASURES,
    ),
    ("sudo cargo run --release -p gotthard-benches -- peers --out docs/performance", MEASURES),
    (
        "sudo apt-get install bird2 charon-systemd ethtool iproute2 iputils-ping libcharon-extra-plugins \
         libstrongswan-standard-plugins nftables strongswan-swanctl",
        MEASURES,
    ),
    ("cargo build --release", STEP),
    (
        "sudo GOTTHARD_BIN=target/release/gotthard cargo run --release -p gotthard-benches -- failover \
         --out docs/performance/failover.md",
        MEASURES,
    ),
    (
        "sudo cargo run --release -p gotthard-benches -- handshakes --out docs/performance/handshakes.md",
        MEASURES,
    ),
    (
        "GOTTHARD_REKEYS=1000 GOTTHARD_REKEY_RATE=5000 cargo test --release -p gotthard-lab --test rekey_load \
         against_strongswan",
        MEASURES,
    ),
    (
        "GOTTHARD_REKEYS_OURS=10000 GOTTHARD_REKEY_RATE=5000 cargo test --release -p gotthard-lab --test rekey_load \
         between_two_of_ours",
        MEASURES,
    ),
    ("GOTTHARD_REKEYS_WEATHER=1000 cargo test --release -p gotthard-lab --test rekey_weather", MEASURES),
    ("cargo run --release -p gotthard-benches -- scaling", MEASURES),
    ("sudo GOTTHARD_BIN=target/release/gotthard cargo run --release -p gotthard-benches -- scrape", MEASURES),
    ("cargo run --release -p gotthard-benches -- peers", MEASURES),
    (
        "terraform output -raw customer_gateway_configuration | gotthard import aws - --advertise 10.10.0.0/16 --apply",
        "asks the state of a stack at AWS; control/tests/import/terraform.rs reads its files",
    ),
    ("gotthard top", "needs a terminal: lab/tests/screens.rs has one"),
    ("cpupower frequency-set --governor performance", CARD),
    ("ethtool -l eth0", CARD),
    ("ethtool -L eth0 combined 4", CARD),
    ("ethtool -g eth0", CARD),
    ("ethtool -G eth0 rx 4096 tx 4096", CARD),
    ("ethtool -N eth0 rx-flow-hash udp4 sdfn", CARD),
    ("ethtool -C eth0 adaptive-rx on", CARD),
    ("ethtool -S eth0 | grep -i -E 'drop|miss|no_buf'", CARD),
    ("mkdir image && cp gotthard_*.deb image/", ENGINE),
    ("podman build --file contrib/oci/Containerfile --tag gotthard image", ENGINE),
    ("podman run --rm gotthard --version", ENGINE),
    ("install -d -m 0750 /etc/gotthard && install -d -m 0700 /var/lib/gotthard", ENGINE),
    (
        "podman run --detach --name gotthard --network host --read-only --cap-drop all --cap-add NET_ADMIN \
         --cap-add NET_RAW --cap-add NET_BIND_SERVICE --device /dev/net/tun --volume /etc/gotthard:/etc/gotthard:ro \
         --volume /var/lib/gotthard:/var/lib/gotthard --tmpfs /run/gotthard --stop-timeout 30 gotthard",
        ENGINE,
    ),
    ("podman exec gotthard gotthard status", ENGINE),
    ("podman exec gotthard gotthard reload", ENGINE),
];

const AWS_CLI: &str = "asks AWS; words and options are those of aws-cli 1.45 (--generate-cli-skeleton)";
const AZURE_CLI: &str = "asks Azure; az itself is not here to be asked for its options";
const GOOGLE_CLI: &str = "asks Google; gcloud 528 has help for these three commands";
const EXTERNAL: &str = "lab/tests/external.rs has a running BIRD and FRR take what is exported";
const STEP: &str = "a step of `cargo xtask test` itself, or what is in one (xtask/src/steps.rs)";
const MEASURES: &str = "measures for minutes to hours on a quiet machine; the page has what it gave";
const CARD: &str = "changes a network card or the clock of a core, which the lab does not have";
const ENGINE: &str = "needs a container engine, and a registry for the image below ours";
