"""What the Vulkan loader offers: every device with its driver and version, asked without SAPIEN or ``vulkaninfo``.

SAPIEN's own summary names devices but neither drivers nor versions, and is empty-handed where a driver is too old for
it. The structures below are those of the Vulkan 1.2 specification, as far as they are read.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import ClassVar

from f1rl_envs.errors import RendererError

_LOADER = "libvulkan.so.1"
_KINDS = ("other", "integrated", "discrete", "virtual", "cpu")
_UNKNOWN = 0xFFFFFFFF
"""Filled in before asking; a driver without PCI addresses leaves it there."""


@dataclass(frozen=True)
class VulkanDevice:
    """One physical device."""

    name: str
    kind: str
    """``other``, ``integrated``, ``discrete``, ``virtual`` or ``cpu`` (a software renderer)."""
    driver: str
    """Name of its driver, e.g. ``llvmpipe`` or ``NVIDIA``."""
    version: str
    """What the driver says of its version, e.g. ``Mesa 25.0.7 (LLVM 15.0.6)``."""
    api: str
    """Vulkan version that it implements."""
    pci: str | None
    """PCI address as ``0000:65:00.0``; None for a software renderer, and where the driver does not say."""


class _ApplicationInfo(ctypes.Structure):
    _fields_: ClassVar = [
        ("sType", ctypes.c_int32),
        ("pNext", ctypes.c_void_p),
        ("pApplicationName", ctypes.c_char_p),
        ("applicationVersion", ctypes.c_uint32),
        ("pEngineName", ctypes.c_char_p),
        ("engineVersion", ctypes.c_uint32),
        ("apiVersion", ctypes.c_uint32),
    ]


class _InstanceCreateInfo(ctypes.Structure):
    _fields_: ClassVar = [
        ("sType", ctypes.c_int32),
        ("pNext", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("pApplicationInfo", ctypes.POINTER(_ApplicationInfo)),
        ("enabledLayerCount", ctypes.c_uint32),
        ("ppEnabledLayerNames", ctypes.c_void_p),
        ("enabledExtensionCount", ctypes.c_uint32),
        ("ppEnabledExtensionNames", ctypes.c_void_p),
    ]


class _PciBusInfo(ctypes.Structure):
    _fields_: ClassVar = [
        ("sType", ctypes.c_int32),
        ("pNext", ctypes.c_void_p),
        ("domain", ctypes.c_uint32),
        ("bus", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("function", ctypes.c_uint32),
    ]


class _DriverProperties(ctypes.Structure):
    _fields_: ClassVar = [
        ("sType", ctypes.c_int32),
        ("pNext", ctypes.c_void_p),
        ("driverID", ctypes.c_int32),
        ("driverName", ctypes.c_char * 256),
        ("driverInfo", ctypes.c_char * 256),
        ("conformanceVersion", ctypes.c_uint8 * 4),
    ]


class _DeviceProperties(ctypes.Structure):
    _fields_: ClassVar = [
        ("sType", ctypes.c_int32),
        ("pNext", ctypes.c_void_p),
        ("apiVersion", ctypes.c_uint32),
        ("driverVersion", ctypes.c_uint32),
        ("vendorID", ctypes.c_uint32),
        ("deviceID", ctypes.c_uint32),
        ("deviceType", ctypes.c_int32),
        ("deviceName", ctypes.c_char * 256),
        ("pipelineCacheUUID", ctypes.c_uint8 * 16),
        ("limits", ctypes.c_uint64 * 128),  # and what follows them: 532 bytes that are not read, with room to spare
    ]


def devices() -> list[VulkanDevice]:
    """Return every device of every driver, in the loader's order.

    A broken driver can crash or hang the process that asks: ask from one of which nothing depends.

    Raises:
        RendererError: if the loader is missing or refuses to start.
    """
    try:
        vulkan = ctypes.CDLL(_LOADER)
    except OSError as error:
        raise RendererError(f"the Vulkan loader {_LOADER} cannot be loaded ({error})") from error
    instance = _instance(vulkan)
    try:
        count = ctypes.c_uint32()
        _check(vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None), "list its devices")
        handles = (ctypes.c_void_p * count.value)()
        _check(vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), handles), "list its devices")
        return [_describe(vulkan, handle) for handle in handles[: count.value]]
    finally:
        vulkan.vkDestroyInstance(instance, None)


def _instance(vulkan: ctypes.CDLL) -> ctypes.c_void_p:
    application = _ApplicationInfo(sType=0, pApplicationName=b"f1rl", apiVersion=1 << 22 | 2 << 12)
    info = _InstanceCreateInfo(sType=1, pApplicationInfo=ctypes.pointer(application))
    instance = ctypes.c_void_p()
    _check(vulkan.vkCreateInstance(ctypes.byref(info), None, ctypes.byref(instance)), "start")
    return instance


def _check(result: int, what: str) -> None:
    if result < 0:
        raise RendererError(f"the Vulkan loader cannot {what} (VkResult {result}); no driver may be installed")


def _describe(vulkan: ctypes.CDLL, handle: int) -> VulkanDevice:
    pci = _PciBusInfo(sType=1000212000, domain=_UNKNOWN)
    driver = _DriverProperties(sType=1000196000, pNext=ctypes.addressof(pci))
    properties = _DeviceProperties(sType=1000059001, pNext=ctypes.addressof(driver))
    vulkan.vkGetPhysicalDeviceProperties2(ctypes.c_void_p(handle), ctypes.byref(properties))
    api = properties.apiVersion
    kind = _KINDS[properties.deviceType] if 0 <= properties.deviceType < len(_KINDS) else "other"
    has_address = pci.domain != _UNKNOWN and kind != "cpu"
    return VulkanDevice(
        name=properties.deviceName.decode(errors="replace"),
        kind=kind,
        driver=driver.driverName.decode(errors="replace"),
        version=driver.driverInfo.decode(errors="replace"),
        api=f"{api >> 22 & 0x7F}.{api >> 12 & 0x3FF}.{api & 0xFFF}",
        pci=f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}.{pci.function:x}" if has_address else None,
    )
