// Where the registers of a type 0 configuration header are, and their bits.
//
// Specification: PCI Local Bus 3.0 §6.1 and §6.2 (header, command, status, BARs), §6.7
// (capabilities), §6.8.2 (MSI-X), §3.2.2.3.2 (configuration mechanism #1); PCI Express Base 5.0
// §7.2.2 (ECAM).
#pragma once

#include <cstddef>
#include <cstdint>

namespace guestproof::pci {

inline constexpr std::size_t kConfigBytes = 256;
inline constexpr std::size_t kExtendedConfigBytes = 4096;

inline constexpr std::size_t kVendorId = 0x00;             // 2
inline constexpr std::size_t kDeviceId = 0x02;             // 2
inline constexpr std::size_t kCommand = 0x04;              // 2
inline constexpr std::size_t kStatus = 0x06;               // 2
inline constexpr std::size_t kRevisionId = 0x08;           // 1
inline constexpr std::size_t kClassCode = 0x09;            // 3
inline constexpr std::size_t kHeaderType = 0x0e;           // 1
inline constexpr std::size_t kBar0 = 0x10;                 // 6 * 4
inline constexpr std::size_t kSubsystemVendorId = 0x2c;    // 2
inline constexpr std::size_t kSubsystemId = 0x2e;          // 2
inline constexpr std::size_t kCapabilitiesPointer = 0x34;  // 1
inline constexpr std::size_t kInterruptLine = 0x3c;        // 1
inline constexpr std::size_t kInterruptPin = 0x3d;         // 1
inline constexpr std::size_t kFirstCapability = 0x40;
inline constexpr unsigned kBars = 6;

inline constexpr std::uint16_t kCommandIo = 0x0001;
inline constexpr std::uint16_t kCommandMemory = 0x0002;
inline constexpr std::uint16_t kCommandMaster = 0x0004;
inline constexpr std::uint16_t kCommandParity = 0x0040;
inline constexpr std::uint16_t kCommandSystemError = 0x0100;
inline constexpr std::uint16_t kCommandInterruptDisable = 0x0400;

inline constexpr std::uint16_t kStatusInterrupt = 0x0008;
inline constexpr std::uint16_t kStatusCapabilities = 0x0010;
/// What went wrong on the bus; the driver clears a bit by writing a one to it.
inline constexpr std::uint16_t kStatusErrors = 0xf900;

inline constexpr std::uint8_t kHeaderMultiFunction = 0x80;

inline constexpr std::uint32_t kBarIo = 0x1;
inline constexpr std::uint32_t kBarMemory64 = 0x4;
inline constexpr std::uint32_t kBarPrefetchable = 0x8;

inline constexpr std::uint8_t kCapabilityVendor = 0x09;
inline constexpr std::uint8_t kCapabilityMsix = 0x11;
inline constexpr std::size_t kCapabilityHeaderBytes = 2;

inline constexpr std::uint16_t kMsixEnable = 0x8000;
inline constexpr std::uint16_t kMsixFunctionMask = 0x4000;

inline constexpr std::uint16_t kConfigAddressPort = 0xcf8;
inline constexpr std::uint16_t kConfigDataPort = 0xcfc;
inline constexpr std::uint32_t kConfigAddressEnable = 0x8000'0000;
/// Bits 30 to 24 and 1 to 0 are read-only zeros.
inline constexpr std::uint32_t kConfigAddressBits = 0x80ff'fffc;

}  // namespace guestproof::pci
