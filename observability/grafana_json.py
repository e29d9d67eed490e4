"""Grafana's JSON model of a dashboard, from rows of panels (schema of Grafana 11 and later)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["timeseries", "stat", "state-timeline"]

SCHEMA_VERSION: Final = 39
WIDTH: Final = 24
MAPPINGS: Final = [{"type": "value", "options": {"1": {"text": "not ready", "color": "orange", "index": 0}}}]
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True, slots=True)
class Query:
    """A line of a panel. legend: Grafana's {{label}}."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. unit: Grafana's name of it; over, under: from where on it is red; top: the most that it can be;
    whole: counts, without decimals; below_zero: the axis may begin below 0; empty: the word for no series; about: what
    to make of it.
    """

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    over: float | None = None
    under: float | None = None
    stacked: bool = False
    top: float | None = None
    whole: bool = False
    below_zero: bool = False
    empty: str = ""
    about: str = ""
    height: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """variables: names of labels that can be chosen, each among the values that the ones before leave."""

    uid: str
    title: str
    rows: tuple[Row, ...]
    variables: tuple[str, ...] = ()


IN_STACK: Final = 'stack=~"$stack"'
IN_NODE: Final = 'stack=~"$stack",instance=~"$instance"'


def panel(title: str, *queries: str | tuple[str, str], **more: Any) -> Panel:
    """A panel of expressions, each alone or with its legend; more: the fields of Panel."""
    return Panel(title, tuple(Query(*one) if isinstance(one, tuple) else Query(one) for one in queries), **more)


def build(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana's JSON model."""
    panels: list[dict[str, Any]] = []
    top = number = 0
    for row in dashboard.rows:
        number += 1
        panels.append(
            {
                "id": number,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "panels": [],
                "gridPos": _at(0, top, WIDTH, 1),
            }
        )
        top += 1
        lines = _lines(row.panels)
        for line in lines:
            width = WIDTH // len(line)
            height = max(4 if panel.kind == "stat" else panel.height for panel in line)
            for place, panel in enumerate(line):
                number += 1
                panels.append(_panel(panel, number) | {"gridPos": _at(place * width, top, width, height)})
            top += height
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["spillway"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "links": [
            {
                "title": "Spillway",
                "type": "dashboards",
                "tags": ["spillway"],
                "asDropdown": True,
                "keepTime": True,
                "includeVars": True,
                "targetBlank": False,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            }
        ],
        "templating": {"list": [_source(), *_variables(dashboard.variables)]},
        "annotations": {
            "list": [
                {
                    "name": "alerts",
                    "datasource": SOURCE,
                    "enable": True,
                    "iconColor": "red",
                    "target": {"refId": "alerts", "expr": 'ALERTS{alertstate="firing",severity!="info"}'},
                    "titleFormat": "{{alertname}}",
                    "textFormat": "{{stack}} {{instance}}",
                }
            ]
        },
        "panels": panels,
    }


def _lines(panels: Sequence[Panel]) -> list[Sequence[Panel]]:
    """At most four graphs beside each other, six numbers."""
    most = 6 if all(panel.kind == "stat" for panel in panels) else 3 if len(panels) in (3, 5, 6) else 4
    return [panels[at : at + most] for at in range(0, len(panels), most)]


def _at(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.over is not None:
        steps.append({"color": "red", "value": panel.over})
    elif panel.under is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.under}]
    limited = panel.over is not None or panel.under is not None
    custom = {
        "lineWidth": 1,
        "fillOpacity": 25 if panel.stacked else 0,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if limited else "off"},
        # A limit that is far away is shown all the same; and noise in a flat line is not drawn as mountains.
        **({} if panel.over is None else {"axisSoftMax": panel.over * 1.2}),
    }
    shown = {
        **({} if panel.below_zero else {"min": 0}),
        **({} if panel.top is None else {"max": panel.top}),
        **({"decimals": 0} if panel.whole else {}),
        **({"noValue": panel.empty} if panel.empty else {}),
        **({"mappings": MAPPINGS} if panel.kind == "state-timeline" else {}),
    }
    found: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                **shown,
                "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
                "thresholds": {"mode": "absolute", "steps": steps},
                **({"custom": custom} if panel.kind == "timeseries" else {}),
            },
            "overrides": [],
        },
        "options": _options(panel.kind),
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend or "__auto",
                "range": panel.kind != "stat",
                "instant": panel.kind == "stat",
            }
            for place, query in enumerate(panel.queries)
        ],
    }
    return found | ({"description": panel.about} if panel.about else {})


def _options(kind: Kind) -> dict[str, Any]:
    if kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "area", "colorMode": "value"}
    if kind == "state-timeline":
        # A line is a node and its reason: what is drawn is how long.
        legend: dict[str, Any] = {"displayMode": "list", "placement": "bottom", "showLegend": False}
        return {"legend": legend, "showValue": "never", "mergeValues": True, "rowHeight": 0.8}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1}


def _variables(names: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for place, name in enumerate(names):
        before = ",".join(f'{earlier}=~"${earlier}"' for earlier in names[:place])
        query = f'label_values(up{{job="gate"{"," if before else ""}{before}}}, {name})'
        found.append(
            {
                "name": name,
                "type": "query",
                "datasource": SOURCE,
                "query": {"query": query, "refId": name},
                "refresh": 2,
                "includeAll": True,
                "multi": True,
                "sort": 1,
                "current": {"text": "All", "value": "$__all"},
            }
        )
    return found
