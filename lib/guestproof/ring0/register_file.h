// Who answers a guest's accesses to ports and devices: what a test's port() and mmio() options say,
// and how far the guest has got in them.
//
// Thread-safety: by the threads of all vCPUs.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "guestproof/ring0/options.h"

namespace guestproof::ring0 {

class RegisterFile {
 public:
  /// The mutex is held while a function of the test is called.
  RegisterFile(std::vector<Register> registers, std::mutex& mutex);

  /// What an access came to.
  struct Answer {
    bool answered = false;  // else nobody is there, or has an answer
    std::uint64_t value = 0;
    std::string complaint{};  // what is wrong with it, all the same
  };
  [[nodiscard]] Answer read(bool port, std::uint64_t address, std::size_t width);
  [[nodiscard]] Answer write(bool port, std::uint64_t address, std::size_t width,
                             std::uint64_t value);
  /// A sentence for each that waits for writes still.
  [[nodiscard]] std::vector<std::string> missing() const;

 private:
  struct Entry {
    Register what;
    std::size_t reads = 0;
    std::size_t writes = 0;
  };
  [[nodiscard]] Entry* find(bool port, std::uint64_t address, std::size_t width);

  std::mutex& mutex_;
  std::vector<Entry> entries_;
};

/// "port 0x1", "address 0xd0000000".
[[nodiscard]] std::string name_of(bool port, std::uint64_t address);

}  // namespace guestproof::ring0
