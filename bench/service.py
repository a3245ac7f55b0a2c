"""The service beside its baselines and layers: CPU per request, requests per second, latency."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.load import Load
from bench.programs import (
    CONSTANT,
    GET,
    WARM_UP,
    LoadSample,
    ServedProgram,
    prepare_contract_loads,
    prepare_other_loads,
    serving_assetuploader,
    serving_module,
)
from bench.server import BenchS3, Scheme
from bench.sizes import LoadPlan, Sizes

SANIC: Final = "Sanic, constant response"
MINIMAL: Final = "minimal"
S3_CLIENT: Final = "+ S3 client"
ASSET_SERVICE: Final = "+ asset service"
ASSETUPLOADER: Final = "assetuploader"
BOTO3: Final = "boto3 in threads"


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One program, one request, one number of connections: medians of all rounds."""

    program: str
    scheme: Scheme
    request: str
    connections: int
    cpu_us: float
    to_sanic: float
    """CPU time as a multiple of Sanic's constant response in the same round."""
    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class _Subject:
    program: str
    scheme: Scheme
    served: ServedProgram
    request: str
    load: Load


def measure_service(s3: BenchS3, sizes: Sizes, log: Callable[[str], None]) -> list[ServiceRow]:
    """Measure all programs in turn, in many short rounds.

    A machine's speed changes within seconds, so a ratio holds only between neighbours in time.
    """
    contract = prepare_contract_loads(sizes.assets)
    loads = {Scheme.HTTP: {**contract, **prepare_other_loads(sizes.assets)}, Scheme.HTTPS: contract}
    with ExitStack() as stack:
        subjects = _start(stack, s3, contract, loads)
        for subject in subjects:
            subject.served.measure(
                subject.load, LoadPlan(WARM_UP.connections, min(WARM_UP.seconds, sizes.service[0].seconds), 1)
            )
        return [row for plan in sizes.service for row in _measure_plan(subjects, plan, log)]


def _start(
    stack: ExitStack, s3: BenchS3, contract: Mapping[str, Load], loads: Mapping[Scheme, Mapping[str, Load]]
) -> list[_Subject]:
    http = s3.environments[Scheme.HTTP]
    sanic = stack.enter_context(serving_module("bench.baseline_sanic", http))
    subjects = [_Subject(SANIC, Scheme.HTTP, sanic, CONSTANT, contract[GET])]
    for scheme, environment in s3.environments.items():
        minimal = stack.enter_context(serving_module("bench.baseline_minimal", environment, "serve"))
        subjects += [_Subject(MINIMAL, scheme, minimal, *one) for one in contract.items()]
        service = stack.enter_context(serving_assetuploader(environment))
        subjects += [_Subject(ASSETUPLOADER, scheme, service, *one) for one in loads[scheme].items()]
    for program, module, *arguments in (
        (S3_CLIENT, "bench.layers", "s3-client"),
        (ASSET_SERVICE, "bench.layers", "asset-service"),
        (BOTO3, "bench.baseline_boto3"),
    ):
        served = stack.enter_context(serving_module(module, http, *arguments))
        subjects += [_Subject(program, Scheme.HTTP, served, *one) for one in contract.items()]
    return subjects


def _measure_plan(subjects: Sequence[_Subject], plan: LoadPlan, log: Callable[[str], None]) -> list[ServiceRow]:
    rounds: list[list[LoadSample]] = []
    for number in range(plan.rounds):
        rounds.append([subject.served.measure(subject.load, plan) for subject in subjects])
        log(f"{plan.connections} connections: round {number + 1} of {plan.rounds}")
    constants = [samples[0].cpu_us for samples in rounds]
    return [
        _summarize(subject, plan.connections, samples, constants)
        for subject, samples in zip(subjects, zip(*rounds, strict=True), strict=True)
    ]


def _summarize(
    subject: _Subject, connections: int, samples: Sequence[LoadSample], constants: Sequence[float]
) -> ServiceRow:
    return ServiceRow(
        subject.program,
        subject.scheme,
        subject.request,
        connections,
        cpu_us=median(sample.cpu_us for sample in samples),
        to_sanic=median(sample.cpu_us / constant for sample, constant in zip(samples, constants, strict=True)),
        per_second=median(sample.per_second for sample in samples),
        p50_ms=median(sample.p50_ms for sample in samples),
        p99_ms=median(sample.p99_ms for sample in samples),
    )
