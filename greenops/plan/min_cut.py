"""A minimum cut of a graph with whole capacities: Dinic's blocking flows.

Source: Dinitz, Soviet Mathematics Doklady 11 (1970), 1277-1280.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Network:
    """A directed graph; edge `e` and its reverse `e ^ 1` share one capacity between them.

    Attributes:
        edges: Edges that leave each node.
        heads: Node that each edge leads to.
        room: What each edge can still carry.
    """

    nodes: int
    edges: list[list[int]] = field(init=False)
    heads: list[int] = field(default_factory=list)
    room: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin without edges."""
        self.edges = [[] for _ in range(self.nodes)]

    def add(self, tail: int, head: int, capacity: int, back: int = 0) -> None:
        """An edge with its capacity, and that of its reverse."""
        for at, to, most in ((tail, head, capacity), (head, tail, back)):
            self.edges[at].append(len(self.heads))
            self.heads.append(to)
            self.room.append(most)

    def source_side(self, source: int, sink: int) -> list[bool]:
        """Is each node before the minimum cut; of several cuts the one with the fewest nodes before it."""
        while True:
            depth = self._depths(source)
            if depth[sink] < 0:
                return [each >= 0 for each in depth]
            self._block(depth, source, sink)

    def _depths(self, source: int) -> list[int]:
        depth = [-1] * self.nodes
        depth[source] = 0
        waiting = deque([source])
        while waiting:
            node = waiting.popleft()
            for edge in self.edges[node]:
                head = self.heads[edge]
                if self.room[edge] > 0 and depth[head] < 0:
                    depth[head] = depth[node] + 1
                    waiting.append(head)
        return depth

    def _block(self, depth: list[int], source: int, sink: int) -> None:
        """Send flow along shortest ways until each of them has a full edge."""
        tried = [0] * self.nodes
        way: list[int] = []
        node = source
        while True:
            if node == sink:
                self._send(way)
                node, way = source, []
                continue
            edge = self._next(depth, node, tried)
            if edge is not None:
                way.append(edge)
                node = self.heads[edge]
            elif way:
                # No way on from here: this edge is not tried again.
                node = self.heads[way.pop() ^ 1]
                tried[node] += 1
            else:
                return

    def _next(self, depth: list[int], node: int, tried: list[int]) -> int | None:
        leaving = self.edges[node]
        while tried[node] < len(leaving):
            edge = leaving[tried[node]]
            if self.room[edge] > 0 and depth[self.heads[edge]] == depth[node] + 1:
                return edge
            tried[node] += 1
        return None

    def _send(self, way: list[int]) -> None:
        least = min(self.room[edge] for edge in way)
        for edge in way:
            self.room[edge] -= least
            self.room[edge ^ 1] += least
