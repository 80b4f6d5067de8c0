"""The list prices that `make costs` computes with."""

from __future__ import annotations

from typing import NamedTuple

# When the prices were last looked up, in stored copies of the pages; nobody has compared them with a bill.
LOOKED_UP = "2026-11-26"


class Price(NamedTuple):
    """A list price of us-east-1.

    usd: for one `unit`. source: the page that has it.
    """

    usd: float
    unit: str
    source: str


AWS = "https://aws.amazon.com"
PRICES = {
    "REST API": Price(3.50, "million requests", f"{AWS}/api-gateway/pricing"),
    "Lambda requests": Price(0.20, "million requests", f"{AWS}/lambda/pricing"),
    "Lambda time": Price(0.0000166667, "GB-second", f"{AWS}/lambda/pricing"),
    "SnapStart, kept": Price(0.0000015046, "GB-second", f"{AWS}/lambda/pricing"),
    "SnapStart, restored": Price(0.0001397998, "GB restored", f"{AWS}/lambda/pricing"),
    "CloudFront requests": Price(1.00, "million HTTPS requests", f"{AWS}/cloudfront/pricing"),
    "CloudFront to viewers": Price(0.085, "GB", f"{AWS}/cloudfront/pricing"),
    "CloudFront to the API": Price(0.020, "GB", f"{AWS}/cloudfront/pricing"),
    "S3 POST": Price(0.005, "thousand requests", f"{AWS}/s3/pricing"),
    "S3 GET": Price(0.0004, "thousand requests", f"{AWS}/s3/pricing"),
    "Step Functions": Price(0.025, "thousand transitions", f"{AWS}/step-functions/pricing"),
    "S3 storage": Price(0.023, "GB-month", f"{AWS}/s3/pricing"),
    "Endpoint, hours": Price(0.01, "hour and zone", f"{AWS}/privatelink/pricing"),
    "Endpoint, data": Price(0.01, "GB", f"{AWS}/privatelink/pricing"),
    "Cache storage": Price(0.084, "GB-hour, at least 0.1 GB", f"{AWS}/elasticache/pricing"),
    "Cache work": Price(0.0023, "million ECPUs", f"{AWS}/elasticache/pricing"),
    "Firewall": Price(5.00, "web ACL and month", f"{AWS}/waf/pricing"),
    "Firewall rules": Price(1.00, "rule and month", f"{AWS}/waf/pricing"),
    "Firewall requests": Price(0.60, "million requests", f"{AWS}/waf/pricing"),
    "Logs": Price(0.50, "GB", f"{AWS}/cloudwatch/pricing"),
    "Metrics": Price(0.30, "metric and month", f"{AWS}/cloudwatch/pricing"),
    "Alarms": Price(0.10, "alarm and month", f"{AWS}/cloudwatch/pricing"),
    "Dashboards": Price(3.00, "dashboard and month", f"{AWS}/cloudwatch/pricing"),
    "X-Ray": Price(5.00, "million traces", f"{AWS}/xray/pricing"),
    "Secrets": Price(0.40, "secret and month", f"{AWS}/secrets-manager/pricing"),
    "ECR": Price(0.10, "GB-month", f"{AWS}/ecr/pricing"),
}


def usd(name: str, amount: float) -> float:
    """Return the price of an amount, which is in the unit without its factor: of requests, not of million requests."""
    price = PRICES[name]
    factor = 1e6 if price.unit.startswith("million") else 1e3 if price.unit.startswith("thousand") else 1
    return price.usd * amount / factor
