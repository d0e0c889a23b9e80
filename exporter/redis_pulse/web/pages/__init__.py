"""The pages for people, and the same data as JSON: pure functions from plain values to text.

- ``texts``: how times, numbers and names of others are written
- ``geometry``: the paths of the graphs
- ``hour_view``: the graphs of one target, ``stall_evidence`` that of its stalls
- ``sentences``: why, and what to do, from the table of advice
- ``problems``: what is wrong, grouped
- ``verdict``: the heading
- ``overview``, ``target_page``, ``own_view``: the values of their templates
- ``keyspace_page``, ``keyspace_json``: what fills a server
- ``page_query``: the query of a request
- ``rendering``: the templates, and the policy of the pages
- ``status_json``: the same data for programs
"""

from redis_pulse.web.pages import status_json
from redis_pulse.web.pages.keyspace_json import keyspace_json
from redis_pulse.web.pages.keyspace_page import keyspace_list_page, keyspace_page
from redis_pulse.web.pages.overview import Overview
from redis_pulse.web.pages.page_query import PageQuery, parse_page_query, parse_status_query
from redis_pulse.web.pages.rendering import POLICY, render
from redis_pulse.web.pages.target_page import target_page

__all__ = [
    "POLICY",
    "Overview",
    "PageQuery",
    "keyspace_json",
    "keyspace_list_page",
    "keyspace_page",
    "parse_page_query",
    "parse_status_query",
    "render",
    "status_json",
    "target_page",
]
