"""What this process's environment says of its place and purpose, as attributes of its resource."""

from __future__ import annotations

import os
from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource, ResourceDetector

from greenops.observe import attributes as names


class GreenOpsResourceDetector(ResourceDetector):
    """Workload and cloud region, under `OTEL_EXPERIMENTAL_RESOURCE_DETECTORS=otel,greenops`. Stability: beta."""

    def detect(self) -> Resource:
        """The attributes that the environment tells; empty where it tells none."""
        found = {
            names.WORKLOAD: workload_here(os.environ),
            names.CLOUD_REGION: region_here(os.environ),
        }
        return Resource({name: value for name, value in found.items() if value})


def workload_here(environ: Mapping[str, str]) -> str | None:
    """`GREENOPS_WORKLOAD`."""
    return environ.get("GREENOPS_WORKLOAD") or None


def region_here(environ: Mapping[str, str]) -> str | None:
    """Cloud region: `GREENOPS_REGION`, or what a cloud says of the place where it runs this process.

    `AWS_REGION` on a machine that is not Amazon's names the region that is called, so it counts only beside
    `AWS_EXECUTION_ENV`, which ECS and Lambda set. Azure App Service sets `REGION_NAME` to a display name.
    """
    given = environ.get("GREENOPS_REGION")
    if given:
        return given
    if environ.get("AWS_EXECUTION_ENV"):
        return environ.get("AWS_REGION") or None
    if environ.get("WEBSITE_SITE_NAME"):
        return environ.get("REGION_NAME", "").replace(" ", "").lower() or None
    return None
