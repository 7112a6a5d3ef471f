#!/usr/bin/env python3
"""Reads a scrape in OpenMetrics text from stdin with the parser of PyPI `prometheus_client`, and prints it as JSON:
{family: {"type", "unit", "samples": [[name, labels, value]]}}.

    pip install -r requirements.txt
    curl -s http://127.0.0.1:9464/metrics | read_metrics.py
"""

import json
import sys

from prometheus_client.openmetrics import parser as openmetrics


def main():
    families = openmetrics.text_string_to_metric_families(sys.stdin.read())
    read = {
        family.name: {
            "type": family.type,
            "unit": family.unit,
            "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
        }
        for family in families
    }
    print(json.dumps(read))


if __name__ == "__main__":
    main()
