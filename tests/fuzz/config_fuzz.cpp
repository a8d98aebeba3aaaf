// SPDX-License-Identifier: Apache-2.0
#include "config/fleet.hpp"
#include "config/loader.hpp"
#include "config/summary.hpp"
#include "support/plugin_keys.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// Any bytes as the main file; a first byte of ',' makes them a fleet table instead. What loads must print as
// a file that loads and prints the same again; what does not must say why, at a place, without control
// characters.

using namespace things;

namespace {

void require(bool holds) {
    if (!holds)
        std::abort();
}

// A file without a file system, so that a run costs no disk.
class MemoryFile {
public:
    explicit MemoryFile(const std::string& text) : number_(::memfd_create("config", MFD_CLOEXEC)) {
        require(number_ >= 0 &&
                ::write(number_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
        ::fchmod(number_, 0600);
    }
    ~MemoryFile() { ::close(number_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(number_); }

private:
    int number_;
};

LoadOptions fuzz_options() {
    LoadOptions options;
    options.find_plugin = find_test_plugin;
    options.plugin_names = test_plugin_names();
    options.environment = [](const std::string&) {
        return std::optional<std::string>("abcdefghijklmnopqrstuvwxyzABCD");
    };
    return options;
}

void check_problems(const Loaded& loaded) {
    bool has_error = false;
    for (const Problem& problem : loaded.problems) {
        has_error = has_error || problem.severity == Severity::error;
        require(problem.place.line >= 1 && problem.place.column >= 1 && !problem.message.empty());
        for (const char c : problem.text())
            require(static_cast<unsigned char>(c) >= 0x20);
    }
    require(has_error != loaded.config.has_value());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const LoadOptions options = fuzz_options();
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (!text.empty() && text[0] == ',') {
        Problems problems;
        const std::string file = "fleet.csv";
        (void)read_fleet(text.substr(1), &file, problems);
        return 0;
    }
    const MemoryFile file(text);
    const Loaded loaded = load(file.path(), options);
    check_problems(loaded);
    if (!loaded.config)
        return 0;
    (void)summary_text(*loaded.config, {});
    (void)summary_json(*loaded.config, {});
    const std::string printed = print_config(*loaded.config, find_test_plugin);
    const MemoryFile again(printed);
    const Loaded second = load(again.path(), options);
    require(second.config.has_value());
    require(print_config(*second.config, find_test_plugin) == printed);
    return 0;
}
