// SPDX-License-Identifier: Apache-2.0
#include "polling/landlock.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace things {

namespace {

constexpr std::uint64_t read_file = LANDLOCK_ACCESS_FS_READ_FILE,
                        read_directory = LANDLOCK_ACCESS_FS_READ_DIR,
                        write_file = LANDLOCK_ACCESS_FS_WRITE_FILE, execute = LANDLOCK_ACCESS_FS_EXECUTE;
constexpr std::uint64_t first_version = (std::uint64_t{LANDLOCK_ACCESS_FS_MAKE_SYM} << 1U) - 1;
constexpr std::uint64_t refer = std::uint64_t{1} << 13U, truncate_file = std::uint64_t{1} << 14U;

/// As of version 6; the headers of Debian 12 know the first member alone.
struct Ruleset {
    std::uint64_t files = 0, net = 0, scoped = 0;
};
constexpr std::uint64_t abstract_sockets_and_signals = 3; // to processes outside

constexpr long with_signals = 6;

/// How much of it a kernel of this version takes.
constexpr std::size_t size_of_ruleset(long version) {
    return version >= with_signals ? sizeof(Ruleset) : sizeof(std::uint64_t);
}

struct Sight {
    const char* path;
    std::uint64_t rights;
};

constexpr std::uint64_t look = read_file | read_directory;
constexpr Sight sights[] = {
    {"/usr", look | execute},
    {"/lib", look | execute},
    {"/lib32", look | execute},
    {"/lib64", look | execute},
    {"/bin", look | execute},
    {"/sbin", look | execute},
    {"/opt", look | execute},
    {"/dev/null", read_file | write_file},
    {"/dev/zero", read_file | write_file},
    {"/dev/full", read_file | write_file},
    {"/dev/random", read_file},
    {"/dev/urandom", read_file},
    {"/proc", look},
    {"/sys", look},
    {"/run/udev", look},
    {"/run/systemd/resolve", look},
    {"/etc/ld.so.cache", read_file},
    {"/etc/ld.so.conf", read_file},
    {"/etc/ld.so.conf.d", look},
    {"/etc/hosts", read_file},
    {"/etc/host.conf", read_file},
    {"/etc/resolv.conf", read_file},
    {"/etc/nsswitch.conf", read_file},
    {"/etc/gai.conf", read_file},
    {"/etc/services", read_file},
    {"/etc/protocols", read_file},
    {"/etc/passwd", read_file},
    {"/etc/group", read_file},
    {"/etc/localtime", read_file},
    {"/etc/timezone", read_file},
    {"/etc/ssl/certs", look},
    {"/etc/ssl/openssl.cnf", read_file},
    {"/etc/alternatives", look},
};

/// A path that does not exist on this system is no loss.
void allow(int ruleset, const char* path, std::uint64_t rights, std::uint64_t handled) {
    const int place = open(path, O_PATH | O_CLOEXEC);
    struct stat status {};
    if (place >= 0 && fstat(place, &status) == 0) {
        constexpr std::uint64_t of_files = read_file | write_file | execute | truncate_file;
        landlock_path_beneath_attr rule{};
        rule.parent_fd = place;
        // Rights that only directories have make add_rule fail for a file.
        rule.allowed_access = rights & handled & (S_ISDIR(status.st_mode) ? ~std::uint64_t{0} : of_files);
        (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    }
    if (place >= 0)
        close(place);
}

/// What a setting that names this path asks for: a device is written to, a file of the kernel's (a GPIO line)
/// too, anything else is read or run.
std::uint64_t rights_of(const std::filesystem::path& path) {
    struct stat status {};
    const bool is_device = stat(path.c_str(), &status) == 0 && S_ISCHR(status.st_mode);
    std::error_code error;
    const std::string real = std::filesystem::weakly_canonical(path, error).string();
    return is_device || real.compare(0, 5, "/sys/") == 0 ? look | write_file : look | execute;
}

} // namespace

long landlock_version() {
    const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version < 0 ? 0 : version;
}

std::string missing_walls(long version, bool runs_programs) {
    if (version < 1)
        return "this kernel offers no Landlock (it has none, or the service's SystemCallFilter forbids it), "
               "so a "
               "plugin in a process of its own can read every file that the gateway can, secrets and queue "
               "among "
               "them, and use every port";
    if (version < with_signals && runs_programs)
        return "the Landlock of this kernel is version " + std::to_string(version) +
               ", and signals are shut away from version 6 on (Linux 6.12): a program of the plugin exec can "
               "send "
               "signals to the gateway and to plugins; files, ports, the control socket and limits stay out "
               "of its "
               "reach";
    return {};
}

bool hide_files(const FileRights& rights, long version) {
    if (version < 1)
        return false;
    Ruleset attributes;
    attributes.files = first_version | (version >= 2 ? refer : 0) | (version >= 3 ? truncate_file : 0);
    // Else it could reach abstract sockets, and signal the gateway, whose user it has.
    attributes.scoped = version >= with_signals ? abstract_sockets_and_signals : 0;
    const auto ruleset =
        static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, size_of_ruleset(version), 0));
    if (ruleset < 0)
        return false;
    for (const Sight& sight : sights)
        allow(ruleset, sight.path, sight.rights, attributes.files);
    allow(ruleset, rights.plugin.parent_path().c_str(), look | execute, attributes.files);
    for (const auto& path : rights.named)
        allow(ruleset, path.c_str(), rights_of(path), attributes.files);
    for (const auto& path : rights.folders)
        allow(ruleset, path.c_str(), look | execute, attributes.files);
    const bool done = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    close(ruleset);
    return done;
}

} // namespace things
