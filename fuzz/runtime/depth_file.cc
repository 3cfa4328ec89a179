#include "fuzz/runtime/depth_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace guestproof::fuzz {
namespace {

struct Cell {
  char name[56];
  std::uint64_t count;
};
static_assert(sizeof(Cell) == 64);
constexpr std::size_t kCells = 512;

[[noreturn]] void give_up(const char* path, const char* what) {
  std::fprintf(stderr, "guestproof: depth file %s: %s\n", path, what);
  std::exit(1);
}

Cell* map_cells(const char* path) {
  const int fd = ::open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) give_up(path, std::strerror(errno));
  // Room is reserved now: a full disk must show here, not as a SIGBUS at some count.
  if (const int error = ::posix_fallocate(fd, 0, kCells * sizeof(Cell)); error != 0)
    give_up(path, std::strerror(error));
  void* cells = ::mmap(nullptr, kCells * sizeof(Cell), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (cells == MAP_FAILED) give_up(path, std::strerror(errno));
  ::close(fd);
  return static_cast<Cell*>(cells);
}

bool same_names(const Cell* cells, const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (std::strncmp(cells[i].name, names[i].c_str(), sizeof cells[i].name) != 0) return false;
  return cells[names.size()].name[0] == '\0';
}

}  // namespace

void bind_depth_file(testing::Depth& depth) {
  const char* path = std::getenv("GUESTPROOF_DEPTH_FILE");
  if (path == nullptr || *path == '\0') return;
  const auto& names = depth.names();
  if (names.size() >= kCells) give_up(path, "more counters than the file has room for");
  Cell* cells = map_cells(path);
  if (!same_names(cells, names)) {
    std::memset(static_cast<void*>(cells), 0, kCells * sizeof(Cell));
    for (std::size_t i = 0; i < names.size(); ++i)
      names[i].copy(cells[i].name, sizeof cells[i].name - 1);
  }
  depth.bind(&cells->count, sizeof(Cell) / sizeof(std::uint64_t));
}

}  // namespace guestproof::fuzz
