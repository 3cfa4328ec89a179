#include "guestproof/testing/model/model_memory.h"

namespace guestproof::testing {

std::uint64_t number_in(std::span<const std::uint8_t> bytes) {
  GUESTPROOF_INVARIANT(bytes.size() <= 8);
  std::uint64_t number = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) number = number << 8 | bytes[i];
  return number;
}
std::uint64_t number_in(std::span<const std::uint8_t> bytes, std::size_t at, std::size_t width) {
  return number_in(bytes.subspan(at, width));
}

void put_number(std::span<std::uint8_t> bytes, std::size_t at, std::size_t width,
                std::uint64_t number) {
  for (auto& byte : bytes.subspan(at, width)) {
    byte = static_cast<std::uint8_t>(number);
    number >>= 8;
  }
}
void append_number(std::vector<std::uint8_t>& bytes, std::size_t width, std::uint64_t number) {
  bytes.resize(bytes.size() + width);
  put_number(bytes, bytes.size() - width, width, number);
}

std::size_t ModelMemory::read(std::uint64_t address, std::span<std::uint8_t> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const auto run = memory_->find(GuestAddress(address + done), out.size() - done, Access::kRead);
    if (!run) break;
    run->read(0, std::as_writable_bytes(out.subspan(done, run->size())));
    done += run->size();
  }
  return done;
}

std::size_t ModelMemory::write(std::uint64_t address, std::span<const std::uint8_t> in) const {
  std::size_t done = 0;
  while (done < in.size()) {
    const auto run = memory_->find(GuestAddress(address + done), in.size() - done, Access::kWrite);
    if (!run) break;
    run->write(0, std::as_bytes(in.subspan(done, run->size())));
    done += run->size();
  }
  return done;
}

std::uint64_t ModelMemory::number(std::uint64_t address, std::size_t bytes) const {
  std::uint8_t raw[8] = {};
  GUESTPROOF_INVARIANT(read(address, std::span(raw).first(bytes)) == bytes);
  return number_in(raw, 0, bytes);
}

void ModelMemory::put_number(std::uint64_t address, std::size_t bytes, std::uint64_t number) const {
  std::uint8_t raw[8];
  testing::put_number(raw, 0, bytes, number);
  GUESTPROOF_INVARIANT(write(address, std::span<const std::uint8_t>(raw).first(bytes)) == bytes);
}

std::uint64_t ModelMemory::reachable(std::uint64_t address, std::uint64_t bytes,
                                     bool writable) const {
  std::uint64_t done = 0;
  while (done < bytes) {
    if (done != 0 && address + done == 0) break;  // the end of the address space
    const auto run = memory_->find(GuestAddress(address + done), bytes - done,
                                   writable ? Access::kWrite : Access::kRead);
    if (!run) break;
    done += run->size();
  }
  return done;
}

}  // namespace guestproof::testing
