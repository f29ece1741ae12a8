"""Just enough of the CUDA driver to keep a board busy: two kernels of known shape, launched through ctypes."""

from __future__ import annotations

import ctypes
import time
from typing import Any

KERNELS = b"""
.version 6.0
.target sm_50
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
"""
BLOCKS, THREADS = 1024, 256


class Board:
    """The first board. Raises OSError where there is no driver, RuntimeError where the driver refuses."""

    def __init__(self) -> None:
        self.cuda = ctypes.CDLL("libcuda.so.1")
        self.ok(self.cuda.cuInit(0))
        device, context, module = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
        self.ok(self.cuda.cuDeviceGet(ctypes.byref(device), 0))
        self.ok(self.cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
        self.ok(self.cuda.cuCtxSetCurrent(context))
        self.ok(self.cuda.cuModuleLoadData(ctypes.byref(module), KERNELS))
        self.context, self.module = context, module
        self.memory = ctypes.c_uint64()
        self.ok(self.cuda.cuMemAlloc_v2(ctypes.byref(self.memory), ctypes.c_size_t(4096)))
        self.turns = {name: self.fit(name) for name in ("arithmetic", "waiting")}

    @staticmethod
    def ok(code: int) -> None:
        if code:
            raise RuntimeError(f"CUDA driver error {code}")

    def fit(self, name: str) -> int:
        """Turns that take about 5 ms."""
        turns = 1000
        while True:
            began = time.perf_counter()
            self.launch(name, turns)
            lasted = time.perf_counter() - began
            if lasted > 0.002:
                return max(1, int(turns * 0.005 / lasted))
            turns *= 2

    def launch(self, name: str, turns: int) -> None:
        self.ok(self.cuda.cuCtxSetCurrent(self.context))
        function: Any = ctypes.c_void_p()
        self.ok(self.cuda.cuModuleGetFunction(ctypes.byref(function), self.module, name.encode()))
        count = ctypes.c_uint32(turns)
        pointers = (ctypes.c_void_p * 2)(ctypes.addressof(self.memory), ctypes.addressof(count))
        self.ok(
            self.cuda.cuLaunchKernel(function, BLOCKS, 1, 1, THREADS, 1, 1, 0, None, pointers, None)
        )
        self.ok(self.cuda.cuCtxSynchronize())

    def busy(self, name: str, seconds: float) -> None:
        """Run one kernel again and again."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            self.launch(name, self.turns[name])
