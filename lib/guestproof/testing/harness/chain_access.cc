#include "guestproof/testing/harness/chain_access.h"

namespace guestproof::testing {
namespace {

using WatchedReader = virtio::Reader<WatchedMemory>;
using WatchedWriter = virtio::Writer<WatchedMemory>;

/// What is written at a position of the chain.
std::uint8_t pattern(const ChainAccess& access, std::uint64_t at) {
  return static_cast<std::uint8_t>(access.whole ? access.value : access.value + 5 * at);
}

std::vector<std::uint8_t> pattern(const ChainAccess& access, std::uint64_t at,
                                  std::uint64_t length) {
  std::vector<std::uint8_t> bytes(length);
  for (std::uint64_t i = 0; i < length; ++i) bytes[i] = pattern(access, at + i);
  return bytes;
}

Result<void> read_some(WatchedReader& reader, std::uint64_t length, bool object,
                       std::vector<std::uint8_t>& bytes) {
  if (object) {
    const auto number = reader.read_object<le64>();
    if (!number) return std::unexpected(number.error());
    for (int shift = 0; shift < 64; shift += 8)
      bytes.push_back(static_cast<std::uint8_t>(*number >> shift));
    return {};
  }
  std::vector<std::uint8_t> some(length);
  const auto done = reader.read(std::as_writable_bytes(std::span(some)));
  if (done) bytes.insert(bytes.end(), some.begin(), some.end());
  return done;
}

Result<void> write_some(WatchedWriter& writer, const ChainAccess& access, std::uint64_t at,
                        std::uint64_t length) {
  if (access.whole) return writer.fill(length, std::byte{access.value});
  const auto bytes = pattern(access, at, length);
  return writer.write(std::as_bytes(std::span(bytes)));
}

/// Moves the cursor past the first bytes; the part that was split off, if it was.
template <class Cursor>
Result<std::optional<Cursor>> leave_out(Cursor& cursor, const ChainAccess& access) {
  if (access.splits) return cursor.split(access.from);
  const auto done = cursor.skip(access.from);
  if (!done) return std::unexpected(done.error());
  return std::nullopt;
}

Result<void> read(const WatchedChain& chain, const ChainAccess& access,
                  std::vector<std::uint8_t>& bytes) {
  auto reader = chain.reader();
  auto front = leave_out(reader, access);
  if (!front) return std::unexpected(front.error());
  const auto done = read_some(reader, access.length, access.whole, bytes);
  if (!done || !*front) return done;
  return read_some(**front, (*front)->remaining(), false, bytes);
}

Result<void> write(const WatchedChain& chain, const ChainAccess& access) {
  auto writer = chain.writer();
  auto front = leave_out(writer, access);
  if (!front) return std::unexpected(front.error());
  const auto done = write_some(writer, access, access.from, access.length);
  if (!done || !*front) return done;
  return write_some(**front, access, 0, (*front)->remaining());
}

/// Reads or writes [at, at + length) of the chain.
ModelError move(const WatchedMemory& memory, const ModelChain& chain, const ChainAccess& access,
                std::uint64_t at, std::uint64_t length, std::vector<std::uint8_t>& bytes) {
  const ModelMemory plain(memory);
  if (access.writes) {
    const auto done = chain.write(plain, at, pattern(access, at, length));
    return done == length ? ModelError() : no_memory(memory, chain.writable, at + done);
  }
  std::vector<std::uint8_t> some(length);
  const auto done = chain.read(plain, at, some);
  if (done != length) return no_memory(memory, chain.readable, at + done);
  bytes.insert(bytes.end(), some.begin(), some.end());
  return {};
}

}  // namespace

Accessed access_device(const WatchedChain& chain, const ChainAccess& access) {
  Accessed accessed;
  const auto done = access.writes ? write(chain, access) : read(chain, access, accessed.bytes);
  if (!done) accessed.error = done.error();
  return accessed;
}

void compare_access(const Accessed& device, const ModelAccessed& model) {
  compare_errors(kModelAgreement, "accessing a chain", device.error, model.error);
  // How much a reader that failed has read is its own business.
  if (!device.error && device.bytes != model.bytes)
    violated(kModelAgreement, "the device read other bytes of a chain than the model");
}

ModelAccessed access_model(const WatchedMemory& memory, const ModelChain& chain,
                           const ChainAccess& access) {
  const auto total = access.writes ? chain.writable_bytes() : chain.readable_bytes();
  const auto past_end = access.writes ? "chain.write_past_end" : "chain.read_past_end";
  if (access.from > total) return {{}, {past_end, access.from, total}};
  if (access.length > total - access.from)
    return {{}, {past_end, access.length, total - access.from}};
  ModelAccessed accessed;
  accessed.error = move(memory, chain, access, access.from, access.length, accessed.bytes);
  if (accessed.error.none() && access.splits)
    accessed.error = move(memory, chain, access, 0, access.from, accessed.bytes);
  return accessed;
}

}  // namespace guestproof::testing
