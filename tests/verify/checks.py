"""The checks, in the order of the report."""

from typing import Final

from tests.faults.lifecycles import LIFECYCLES
from tests.protocol.mutants import MUTANTS
from tests.verify.attack_checks import check_metrics_port, check_pipelining, check_slow_readers
from tests.verify.check import Check
from tests.verify.http_checks import check_raw, check_schema, check_suite
from tests.verify.large_file_check import check_large_file
from tests.verify.mutation_check import check_mutation
from tests.verify.protocol_checks import check_interleavings, check_protocol_mutants, check_sequences
from tests.verify.s3_checks import (
    check_ledger,
    check_log_levels,
    check_nth_call,
    check_overlap,
    check_parts_ledger,
    check_reference,
    check_restarts,
    check_s3_outage,
)
from tests.verify.scan_cost_check import check_scan_cost

CHECKS: Final = (
    Check("interleavings", "no schedule of the real code violates I1 to I7", check_interleavings, 3, 2),
    Check(
        "protocol-mutants",
        "without any one rule, a schedule violates an invariant",
        check_protocol_mutants,
        len(MUTANTS),
        10,
    ),
    Check("mutation", "the unit tests notice every change of the protocol's code", check_mutation, 100_000, 100_000),
    Check("sequences", "bucket and responses agree with a model at every step", check_sequences, 10_000, 500),
    Check("reference", "the in-memory S3 behaves as a real server does", check_reference, 20_000, 1_000),
    Check(
        "nth-call",
        "whichever S3 call fails, and how, nothing is lost, changed or invented",
        check_nth_call,
        len(LIFECYCLES),
        1,
    ),
    Check("overlap", "each asset is finalized exactly once, whichever run is killed", check_overlap, 1_000, 100),
    Check(
        "scan-cost",
        "an unmarked upload costs at most 170 HEADs in a day; what is due is found in time",
        check_scan_cost,
        1_000,
        100,
    ),
    Check(
        "ledger", "every asset whose mark was accepted is downloaded with the same bytes", check_ledger, 100_000, 1_000
    ),
    Check(
        "parts-ledger",
        "every asset whose completion was accepted is downloaded with the same bytes",
        check_parts_ledger,
        1_000,
        30,
    ),
    Check(
        "large-file",
        "a large file is uploaded in parts, resumed after a kill, and final with one request",
        check_large_file,
        6 * 1024,
        128,
    ),
    Check(
        "s3-outage", "without S3: 503 within 3 s, alive throughout, backlog cleared in two runs", check_s3_outage, 30, 5
    ),
    Check("restarts", "no request fails while services are restarted in turn", check_restarts, 20, 4),
    Check("raw", "no malformed request gets a 5xx, hangs, or is echoed", check_raw, 20_000, 2_000),
    Check("pipelining", "a connection with hundreds of requests starves no other one", check_pipelining, 20, 5),
    Check("slow-readers", "clients that do not read are cut off, and pin little memory", check_slow_readers, 300, 20),
    Check("metrics-port", "silent connections cost no threads, and keep no scraper out", check_metrics_port, 900, 200),
    Check("schema", "the API conforms to its OpenAPI document", check_schema, 300, 30),
    Check("log-levels", "no log level writes a secret", check_log_levels, 1, 1),
    Check("suite", "no test writes a secret to a log", check_suite, 1, 1),
)
