"""Just enough of the CUDA driver to keep a board busy: kernels of known shape and a small model, through ctypes."""

from __future__ import annotations

import ctypes
import time
import uuid
from collections.abc import Sequence
from typing import Any, Final

KERNELS: Final = b"""
.version 6.0
.target sm_70
.address_size 64
.visible .entry arithmetic(.param .u64 out, .param .u32 turns)
{
  .reg .pred %p; .reg .f32 %f<3>; .reg .u32 %r<3>; .reg .u64 %d;
  ld.param.u64 %d, [out]; ld.param.u32 %r1, [turns];
  cvta.to.global.u64 %d, %d;
  mov.f32 %f1, 0f3F800001; mov.f32 %f2, 0f3F7FFFFE; mov.u32 %r2, 0;
again:
  fma.rn.f32 %f1, %f1, %f2, %f2; fma.rn.f32 %f1, %f1, %f2, %f2;
  fma.rn.f32 %f1, %f1, %f2, %f2; fma.rn.f32 %f1, %f1, %f2, %f2;
  add.u32 %r2, %r2, 1; setp.lt.u32 %p, %r2, %r1; @%p bra again;
  st.global.f32 [%d], %f1;
  ret;
}
.visible .entry waiting(.param .u64 out, .param .u32 turns)
{
  .reg .pred %p; .reg .u32 %r<4>; .reg .u64 %d;
  ld.param.u64 %d, [out]; ld.param.u32 %r1, [turns];
  cvta.to.global.u64 %d, %d;
  mov.u32 %r2, 0;
again:
  ld.volatile.global.u32 %r3, [%d];
  add.u32 %r2, %r2, 1; setp.lt.u32 %p, %r2, %r1; @%p bra again;
  ret;
}
.visible .entry layer(.param .u64 weights, .param .u64 inputs, .param .u64 outputs, .param .u32 width)
{
  .reg .pred %p; .reg .f32 %f<4>; .reg .u32 %r<9>; .reg .u64 %d<7>;
  ld.param.u64 %d1, [weights]; ld.param.u64 %d2, [inputs]; ld.param.u64 %d3, [outputs];
  ld.param.u32 %r1, [width];
  cvta.to.global.u64 %d1, %d1; cvta.to.global.u64 %d2, %d2; cvta.to.global.u64 %d3, %d3;
  mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x;
  mad.lo.u32 %r5, %r2, %r3, %r4;
  mov.u32 %r6, %ctaid.y; mul.lo.u32 %r7, %r6, %r1;
  mul.wide.u32 %d4, %r5, 4; mul.wide.u32 %d5, %r1, 4; mul.wide.u32 %d6, %r7, 4;
  add.u64 %d1, %d1, %d4;
  add.u64 %d2, %d2, %d6;
  add.u64 %d3, %d3, %d6; add.u64 %d3, %d3, %d4;
  mov.f32 %f1, 0f00000000; mov.u32 %r8, 0;
again:
  ld.global.f32 %f2, [%d1]; ld.global.f32 %f3, [%d2];
  fma.rn.f32 %f1, %f2, %f3, %f1;
  add.u64 %d1, %d1, %d5; add.u64 %d2, %d2, 4;
  add.u32 %r8, %r8, 1; setp.lt.u32 %p, %r8, %r1; @%p bra again;
  st.global.f32 [%d3], %f1;
  ret;
}
"""
"""`layer` is outputs = weights x inputs: one thread an output, one row of blocks a request; Volta is the least with a counter."""
BLOCKS: Final = 1024
THREADS: Final = 256
WIDTH: Final = 4096
"""Weights are 64 MB, more than the caches of most boards hold."""
LAYERS: Final = 4
LARGEST_BATCH: Final = 64
SLICE_S: Final = 0.005
"""How long one launch keeps the board busy, about [s]."""
ONE: Final = 0x3F800000
"""1.0 as the bits of a float."""
ONE_PER_WIDTH: Final = 0x39800000
"""1/4096 as the bits of a float: a layer gives ones for ones, exactly."""


class CudaError(RuntimeError):
    """The driver refused."""


class Board:
    """The first board that CUDA shows. Raises OSError where there is no driver, CudaError where it refuses."""

    def __init__(self) -> None:
        self.cuda: Any = ctypes.CDLL("libcuda.so.1")
        self.cuda.cuGetErrorName.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
        self.ok("cuInit", ctypes.c_uint(0))
        self.device, self.context, self.module = (
            ctypes.c_int(),
            ctypes.c_void_p(),
            ctypes.c_void_p(),
        )
        self.ok("cuDeviceGet", ctypes.byref(self.device), ctypes.c_int(0))
        self.ok("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), self.device)
        self.ok("cuCtxSetCurrent", self.context)
        self.ok("cuModuleLoadData", ctypes.byref(self.module), ctypes.c_char_p(KERNELS))
        self.functions = {name: self.function(name) for name in ("arithmetic", "waiting", "layer")}
        self.memory = self.allocate(4096)
        self.weights = self.allocate(4 * WIDTH * WIDTH)
        self.values = [self.allocate(4 * WIDTH * LARGEST_BATCH) for _ in range(2)]
        self.fill(self.weights, ONE_PER_WIDTH, WIDTH * WIDTH)
        for each in self.values:
            self.fill(each, ONE, WIDTH * LARGEST_BATCH)
        self.rate = {name: self.fit(name) for name in ("arithmetic", "waiting")}
        """Turns that a kernel makes in a second."""

    def ok(self, name: str, *given: Any) -> None:
        """Call the driver; the name of its error where it has one."""
        code = getattr(self.cuda, name)(*given)
        if code:
            said = ctypes.c_char_p()
            self.cuda.cuGetErrorName(code, ctypes.byref(said))
            raise CudaError(f"{name}: {(said.value or b'').decode() or code}")

    @property
    def uuid(self) -> str:
        """As NVML names the board."""
        found = (ctypes.c_ubyte * 16)()
        self.ok("cuDeviceGetUuid_v2", ctypes.byref(found), self.device)
        return f"GPU-{uuid.UUID(bytes=bytes(found))}"

    def function(self, name: str) -> ctypes.c_void_p:
        found = ctypes.c_void_p()
        self.ok(
            "cuModuleGetFunction", ctypes.byref(found), self.module, ctypes.c_char_p(name.encode())
        )
        return found

    def allocate(self, size: int) -> ctypes.c_uint64:
        found = ctypes.c_uint64()
        self.ok("cuMemAlloc_v2", ctypes.byref(found), ctypes.c_size_t(size))
        return found

    def fill(self, memory: ctypes.c_uint64, word: int, count: int) -> None:
        self.ok("cuMemsetD32_v2", memory, ctypes.c_uint(word), ctypes.c_size_t(count))

    def fit(self, name: str) -> float:
        """Turns a second, from a launch long enough to time."""
        turns = 1000
        while True:
            began = time.perf_counter()
            self.launch(name, (BLOCKS, 1), [self.memory, ctypes.c_uint32(turns)])
            self.wait()
            lasted = time.perf_counter() - began
            if lasted > SLICE_S:
                return turns / lasted
            turns *= 2

    def launch(self, name: str, blocks: tuple[int, int], given: Sequence[Any]) -> None:
        """Start a kernel; the driver copies what it is given before this returns."""
        # A context is current on one thread; a test may have come on another.
        self.ok("cuCtxSetCurrent", self.context)
        pointers = (ctypes.c_void_p * len(given))(*map(ctypes.addressof, given))
        sizes = map(ctypes.c_uint, (*blocks, 1, THREADS, 1, 1, 0))
        self.ok("cuLaunchKernel", self.functions[name], *sizes, None, pointers, None)

    def begin(self, name: str, seconds: float) -> None:
        """Keep the board busy for so long, and come back at once."""
        turns = ctypes.c_uint32(max(1, min(2**32 - 1, int(self.rate[name] * seconds))))
        self.launch(name, (BLOCKS, 1), [self.memory, turns])

    def wait(self) -> None:
        """Until the board is done."""
        self.ok("cuCtxSynchronize")

    def busy(self, name: str, seconds: float) -> None:
        """Run one kernel again and again."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self.begin(name, min(left, SLICE_S))
            self.wait()

    def batch(self, size: int) -> None:
        """The model's answer to so many requests at once."""
        width = ctypes.c_uint32(WIDTH)
        for layer in range(LAYERS):
            inputs, outputs = self.values[layer % 2], self.values[1 - layer % 2]
            self.launch("layer", (WIDTH // THREADS, size), [self.weights, inputs, outputs, width])
        self.wait()

    def answers(self, size: int) -> list[float]:
        """First value of each answer."""
        found = (ctypes.c_float * (WIDTH * size))()
        memory = self.values[LAYERS % 2]
        self.ok(
            "cuMemcpyDtoH_v2", ctypes.byref(found), memory, ctypes.c_size_t(ctypes.sizeof(found))
        )
        return [found[WIDTH * request] for request in range(size)]

    def close(self) -> None:
        """Give everything back, as far as the driver still answers."""
        for memory in (self.memory, self.weights, *self.values):
            self.cuda.cuMemFree_v2(memory)
        self.cuda.cuModuleUnload(self.module)
        self.cuda.cuDevicePrimaryCtxRelease_v2(self.device)
