#!/usr/bin/env python3
"""An OpenTelemetry collector that nobody here wrote the messages of: PyPI `opentelemetry-proto` reads what is pushed.

    pip install -r requirements.txt
    otlp_collector.py FILE

Prints `listening on URL`, and writes a line of JSON into FILE for every push: {"path", "headers", "resource", "metrics"},
the latter by name: {"unit", "kind", "points": [{"attributes", "value"}]}, of a histogram {"count", "buckets", "bounds"}.
Ends with its standard input.
"""

import http.server
import json
import sys
import threading

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service


def attributes(pairs):
    return {pair.key: pair.value.string_value for pair in pairs}


def value(kind, point):
    if kind == "histogram":
        return {"count": point.count, "buckets": list(point.bucket_counts), "bounds": list(point.explicit_bounds)}
    return point.as_double


def read(body):
    request = service.ExportMetricsServiceRequest.FromString(body)
    (resource,) = request.resource_metrics
    metrics = {}
    for metric in resource.scope_metrics[0].metrics:
        kind = metric.WhichOneof("data")
        points = getattr(metric, kind).data_points
        listed = [{"attributes": attributes(point.attributes), "value": value(kind, point)} for point in points]
        metrics[metric.name] = {"unit": metric.unit, "kind": kind, "points": listed}
    return {"resource": attributes(resource.resource.attributes), "metrics": metrics}


class Collector(http.server.BaseHTTPRequestHandler):
    pushes = None

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): text for name, text in self.headers.items()}
        print(json.dumps({"path": self.path, "headers": headers, **read(body)}), file=self.pushes, flush=True)
        reply = service.ExportMetricsServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        pass


def main():
    if len(sys.argv) != 2:
        print("usage: otlp_collector.py FILE", file=sys.stderr)
        return 2
    Collector.pushes = open(sys.argv[1], "w", encoding="utf-8")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
