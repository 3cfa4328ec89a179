#include "guestproof/testing/harness/msix_harness.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace guestproof::testing {
namespace {

using pci::MsixError;
using pci::PciStateError;
using Structure = MsixModel::Structure;

constexpr std::array<std::uint16_t, 6> kVectors{3, 1, 64, 65, 130, 2048};
constexpr unsigned kOn = 5;  // enabled, bus master

}  // namespace

MsixHarness::MsixHarness() : msix_(pci::Msix::create(kVectors[0]).value()), model_(kVectors[0]) {
  read_ = depth_.add("msix:read");
  written_ = depth_.add("msix:written");
  pending_read_ = depth_.add("msix:pending_bits_read");
  delivered_ = depth_.add("msix:delivered_at_once");
  freed_ = depth_.add("msix:delivered_when_freed");
  pending_ = depth_.add("msix:pending");
  withdrawn_ = depth_.add("msix:withdrawn");
  reset_ = depth_.add("msix:reset");
  controlled_ = depth_.add("msix:controlled");
  depth_.add_errors<MsixError>({MsixError::kVectors});
  depth_.add_errors<PciStateError>({PciStateError::kFunctions, PciStateError::kConfigAddress,
                                    PciStateError::kSlot, PciStateError::kReadOnly,
                                    PciStateError::kMsixLength, PciStateError::kMsixControl});
}

void MsixHarness::choose(std::uint16_t index) {
  const auto vectors = kVectors[index % kVectors.size()];
  msix_ = pci::Msix::create(vectors).value();
  model_ = MsixModel(vectors);
}

SavedHarness::Bytes MsixHarness::encode() const {
  const auto encoded = msix_.encode();
  Bytes bytes(encoded.size());
  std::memcpy(bytes.data(), encoded.data(), bytes.size());
  return bytes;
}

Result<void> MsixHarness::decode(std::span<const std::byte> bytes) {
  auto decoded = msix_.decode(bytes);
  if (!decoded) return std::unexpected(decoded.error());
  msix_ = std::move(*decoded);
  return {};
}

void MsixHarness::agree(std::string_view what, const Result<void>& done, const ModelError& model) {
  compare_errors(kModelAgreement, what, error_of(done), model);
  if (!done) count(done.error());
  const auto expected = model_.take_messages();
  if (messages_.all != expected)
    violated(kModelAgreement, std::string(what) + ": " + std::to_string(messages_.all.size()) +
                                  " messages are delivered and the model's are " +
                                  std::to_string(expected.size()) + ", or others");
}

void MsixHarness::read(Structure structure, std::uint64_t offset, std::size_t width) {
  Bytes bytes(width);
  const auto data = std::as_writable_bytes(std::span(bytes));
  const bool table = structure == Structure::kTable;
  const auto done = table ? msix_.read_table(offset, data) : msix_.read_pba(offset, data);
  const auto expected = model_.read(structure, offset, width);
  agree("a read", done, expected.error);
  if (bytes != expected.bytes)
    violated(kModelAgreement, "offset " + hex(offset) + " has other bytes than the model's");
  depth_.count(table ? read_ : pending_read_);
}

void MsixHarness::write(Structure structure, std::uint64_t offset, const Bytes& bytes) {
  messages_.all.clear();
  const auto data = std::as_bytes(std::span(bytes));
  const bool table = structure == Structure::kTable;
  const auto done =
      table ? msix_.write_table(offset, data, messages_) : msix_.write_pba(offset, data);
  agree("a write", done, model_.write(structure, offset, bytes));
  if (done) depth_.count(written_);
  if (!messages_.all.empty()) depth_.count(freed_);
  messages_.all.clear();
}

void MsixHarness::program(std::uint64_t vector, const Record& record, bool masked) {
  const std::size_t width = record.extra % 2 == 0 ? 8 : 4;
  Bytes entry(16);
  for (std::size_t i = 0; i < 8; ++i) entry[i] = static_cast<std::uint8_t>(record.value >> 8 * i);
  for (std::size_t i = 0; i < 4; ++i)
    entry[8 + i] = static_cast<std::uint8_t>(record.length >> 8 * i);
  entry[12] = masked ? 1 : 0;
  for (std::size_t at = 0; at < 16; at += width)
    write(Structure::kTable, 16 * vector + at,
          Bytes(entry.begin() + static_cast<std::ptrdiff_t>(at),
                entry.begin() + static_cast<std::ptrdiff_t>(at + width)));
}

void MsixHarness::set_mask(std::uint64_t vector, bool masked) {
  write(Structure::kTable, 16 * vector + 12, pattern(masked ? 1 : 0, 4));
}

void MsixHarness::control(unsigned flags) {
  messages_.all.clear();
  msix_.set_control(
      {.enabled = (flags & 1) != 0, .masked = (flags & 2) != 0, .bus_master = (flags & 4) != 0},
      messages_);
  model_.control(flags & 7);
  agree("the control", {}, {});
  depth_.count(controlled_);
  if (!messages_.all.empty()) depth_.count(freed_);
  messages_.all.clear();
}

void MsixHarness::raise(std::uint16_t vector) {
  messages_.all.clear();
  const auto outcome = msix_.raise(vector, messages_);
  const auto done = outcome ? Result<void>() : std::unexpected(outcome.error());
  agree("an interrupt", done, model_.raise(vector));
  if (outcome && (*outcome == pci::MsixOutcome::kPending) != model_.pending(vector))
    violated(kModelAgreement, "an interrupt is said to be what it is not for the model");
  if (outcome) depth_.count(*outcome == pci::MsixOutcome::kPending ? pending_ : delivered_);
  messages_.all.clear();
}

void MsixHarness::withdraw(std::uint16_t vector) {
  agree("an interrupt taken back", msix_.withdraw(vector), model_.withdraw(vector));
  depth_.count(withdrawn_);
}

void MsixHarness::request(const Record& record) {
  const bool raw = (record.flags & kRequestRaw) != 0;
  const auto vector =
      static_cast<std::uint16_t>(raw ? +record.index : record.index % model_.vectors());
  switch (record.kind % 6) {
    case 0:
      control(kOn);
      program(vector, record, false);
      raise(vector);
      break;
    case 1:
      program(vector, record, false);
      break;
    case 2:
      set_mask(vector, true);
      break;
    case 3:
      program(vector, record, true);
      break;
    case 4:
      set_mask(vector, false);
      break;
    default:
      depth_.count(reset_);
      msix_.reset();
      model_.reset();
  }
}

void MsixHarness::act(const Record& record) {
  const auto structure = (record.kind & 2) != 0 ? Structure::kPending : Structure::kTable;
  const auto offset = std::uint64_t{record.next} << 16 | record.index;
  switch (record.op()) {
    case Opcode::kAccess:
      if ((record.kind & 1) != 0)
        write(structure, offset, pattern(record.value, record.length % 17));
      else
        read(structure, offset, record.length % 17);
      break;
    case Opcode::kActivate:
      control(record.index & 7);
      break;
    case Opcode::kPublish:
      raise(record.index);
      break;
    case Opcode::kComplete:
      withdraw(record.index);
      break;
    default:
      return;
  }
  compare(kModelAgreement, "a step");
}

}  // namespace guestproof::testing
