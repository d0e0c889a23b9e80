"""Tell scrapers from others who request metrics."""

from starlette.requests import Request

#: Prometheus sends it with each scrape, and so do those who use its code.
_TIMEOUT = "x-prometheus-scrape-timeout-seconds"
#: Formats of metrics. A browser, curl and a health check accept anything, or do not say.
_FORMATS = ("application/openmetrics-text", "application/vnd.google.protobuf", "version=0.0.4", "version=1.0.0")
#: Longest part of a user agent that tells two scrapers apart.
_MAX_AGENT = 100


def scraper_of(request: Request) -> str | None:
    """Return the address and the user agent of a scraper, or None if the request is not a scrape."""
    if request.method != "GET":
        return None
    accept = request.headers.get("accept", "").lower()
    if _TIMEOUT not in request.headers and not any(text in accept for text in _FORMATS):
        return None
    address = request.client.host if request.client else "unknown"
    return f"{address} {request.headers.get('user-agent', '')[:_MAX_AGENT]}"
