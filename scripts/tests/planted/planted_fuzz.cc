// A fuzz target with one bug of every kind, for the tests of the fuzz job. The first byte of an
// input chooses the bug; GUESTPROOF_PLANTED holds the letters of those that are there. It keeps
// depth counters as the real targets do.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

struct Counter {
  char name[56];
  uint64_t count;
};

Counter* open_counters() {
  constexpr size_t kFileSize = 32 * 1024;
  static Counter unused[4];
  const char* path = std::getenv("GUESTPROOF_DEPTH_FILE");
  int file = path == nullptr ? -1 : open(path, O_RDWR | O_CREAT, 0644);
  if (file < 0 || ftruncate(file, kFileSize) != 0) return unused;
  void* mapped = mmap(nullptr, kFileSize, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return mapped == MAP_FAILED ? unused : static_cast<Counter*>(mapped);
}

void count(size_t which) {
  static const char* const kNames[] = {"request:any", "request:long", "request:never"};
  static Counter* counters = nullptr;
  if (counters == nullptr) {
    counters = open_counters();
    for (size_t i = 0; i < 3; ++i) std::strcpy(counters[i].name, kNames[i]);
  }
  ++counters[which].count;
}

[[gnu::noinline]] void read_past_the_end(const uint8_t* data, size_t size) {
  auto* copy = new uint8_t[size];
  std::memcpy(copy, data, size);
  volatile uint8_t beyond = copy[size + (data[0] == 'O')];
  (void)beyond;
  delete[] copy;
}

[[gnu::noinline]] void use_after_free(const uint8_t* data) {
  auto* volatile copy = new uint8_t{data[0]};
  delete copy;
  volatile uint8_t gone = *copy;
  (void)gone;
}

[[gnu::noinline]] void write_to_nowhere(uint8_t value) {
  uint8_t* volatile nowhere = nullptr;
  *nowhere = value;
}

[[gnu::noinline]] void overflow(size_t size) {
  volatile int number = INT_MAX;
  number = number + static_cast<int>(size);
}

[[gnu::noinline]] void violate_an_oracle(size_t size) {
  std::fprintf(
      stderr,
      "guestproof: ORACLE confinement: wrote %zu bytes at 0x%zx, past the 16 reported as used\n",
      size, size * 4096);
  std::abort();
}

[[gnu::noinline]] void spin() {
  for (volatile unsigned i = 0;; i = i + 1) {
  }
}

[[gnu::noinline]] void work_for(clock_t processor_time) {
  clock_t start = std::clock();
  while (std::clock() - start < processor_time) {
  }
}

[[gnu::noinline]] void hoard() {
  auto* volatile memory = static_cast<char*>(std::malloc(size_t{256} << 20));
  std::free(memory);
}

[[gnu::noinline]] void leak(size_t size) {
  void* volatile lost = std::malloc(size);
  lost = nullptr;
}

bool once() {
  static int runs = 0;
  return ++runs == 1000;
}

bool planted(char bug) {
  static const char* const bugs = std::getenv("GUESTPROOF_PLANTED");
  return bugs != nullptr && std::strchr(bugs, bug) != nullptr;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  count(0);
  if (planted('A')) std::abort();            // every input
  if (planted('F') && once()) std::abort();  // no input by itself
  if (size == 0) return 0;
  if (size > 3 && data[1] == 'l' && data[2] == 'o' && data[3] == 'n') count(1);
  char bug = static_cast<char>(data[0]);
  if (!planted(bug)) return 0;
  switch (bug) {
    case 'O':
      read_past_the_end(data, size);
      break;
    case 'U':
      use_after_free(data);
      break;
    case 'N':
      write_to_nowhere(data[0]);
      break;
    case 'I':
      overflow(size);
      break;
    case 'V':
      violate_an_oracle(size);
      break;
    case 'H':
      spin();
      break;
    case 'M':
      hoard();
      break;
    case 'L':
      leak(size);
      break;
    case 'S':
      work_for(CLOCKS_PER_SEC / 5);
      usleep(1000 * 1000);  // libFuzzer itself reports what takes a second
      break;
    default:
      break;
  }
  return 0;
}
