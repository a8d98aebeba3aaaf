// SPDX-License-Identifier: Apache-2.0
#include "config/loader.hpp"

#include "config/daemon_reader.hpp"
#include "config/device_reader.hpp"
#include "config/fleet.hpp"
#include "config/names.hpp"
#include "config/nearest.hpp"
#include "config/profile_store.hpp"
#include "config/settings_reader.hpp"
#include "config/source_reader.hpp"
#include "config/uniqueness.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <glob.h>
#include <iostream>
#include <numeric>
#include <set>
#include <system_error>
#include <unistd.h>

namespace things {

namespace {

// One load, in the order in which things depend on each other: files, profiles, sources, devices.
class Loader {
public:
    Loader(const std::filesystem::path& file, const LoadOptions& options)
        : file_(file), options_(options), documents_(problems_), profiles_(options, documents_, problems_) {}

    Loaded run();

private:
    /// The lists of one file, main or included.
    struct Parts {
        const Node* sources = nullptr;
        const Node* devices = nullptr;
    };

    bool read_main();
    const Node* load_main(const Place& start);
    void read_includes(const Node& include);
    void include_pattern(const Node& pattern);
    [[nodiscard]] bool is_damaged(const std::filesystem::path& file, const Place& asked);
    void warn_of_unread(const Node& pattern);
    void include_file(const std::filesystem::path& file, const Place& asked);
    void add_parts(const Section& section, const Node& root);
    void read_devices(const Node& devices, DeviceReader& reader);
    void read_fleet_file(const Node& node, DeviceReader& reader);
    void check_use();

    std::filesystem::path file_;
    const LoadOptions& options_;
    Problems problems_;
    Documents documents_;
    ProfileStore profiles_;
    Config config_;
    KnownSources sources_;
    std::vector<Parts> parts_;
    std::set<std::filesystem::path> included_;
    std::vector<const Node*> patterns_; // of `include`
};

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

/// Whether a person would take it for configuration: by its name in whatever spelling, also with an ending of
/// an editor or a copy behind it, or by what it says.
bool looks_like_configuration(const std::filesystem::path& file) {
    std::string name = file.filename().string();
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    // Examples come with the package; swap files come and go; tables are named by files that are read.
    for (const std::string_view other : {".example", ".swp", ".swo", ".swx", ".csv", ".md"})
        if (ends_with(name, other))
            return false;
    if (name.find(".yaml") != std::string::npos || name.find(".yml") != std::string::npos)
        return true;
    const std::string text = "\n" + read_text_file(file).text.substr(0, 65536);
    return text.find("\ndevices:") != std::string::npos || text.find("\nsources:") != std::string::npos;
}

/// Files below a folder, without those that belong to profiles; bounded in depth and number.
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder,
                                               const LoadOptions& options) {
    constexpr std::size_t most_files = 1000;
    constexpr int most_levels = 3;
    std::vector<std::filesystem::path> files;
    std::error_code error;
    std::filesystem::recursive_directory_iterator entry(
        folder, std::filesystem::directory_options::skip_permission_denied, error);
    for (const std::filesystem::recursive_directory_iterator end;
         !error && entry != end && files.size() < most_files; entry.increment(error)) {
        std::error_code ignored;
        const std::vector<std::filesystem::path>& profiles = options.profile_directories;
        if (entry.depth() >= most_levels ||
            std::find(profiles.begin(), profiles.end(), entry->path()) != profiles.end())
            entry.disable_recursion_pending();
        else if (entry->is_regular_file(ignored))
            files.push_back(entry->path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::filesystem::path real_path(const std::filesystem::path& file) {
    std::error_code error;
    const std::filesystem::path path = std::filesystem::weakly_canonical(file, error);
    return error ? file : path;
}

Loaded Loader::run() {
    Loaded loaded;
    if (read_main()) {
        SourceReader source_reader(sources_, options_, problems_);
        for (const Parts& parts : parts_)
            if (parts.sources)
                source_reader.read(*parts.sources, config_.sources);
        for (SourceConfig& source : config_.sources) // the vector does not grow any more
            sources_[source.name].config = &source;
        DeviceReader reader(sources_, profiles_, options_, problems_);
        for (const Parts& parts : parts_)
            if (parts.devices)
                read_devices(*parts.devices, reader);
        // A mistake in a profile shows before a device uses it.
        for (const Profile* profile : profiles_.unused())
            reader.check_profile(*profile);
        check_uniqueness(config_, options_.find_plugin, problems_);
        check_use();
    }
    // Half a configuration is none: what would be missing nobody would notice.
    if (problems_.errors() == 0)
        loaded.config = std::move(config_);
    loaded.problems = problems_.take();
    return loaded;
}

/// Standard input, whatever that is; waits for its end.
FileText read_standard_input() {
    constexpr std::streamsize most = 8 << 20;
    FileText input;
    input.text.resize(static_cast<std::size_t>(most) + 1);
    std::cin.read(input.text.data(), most + 1);
    input.text.resize(static_cast<std::size_t>(std::cin.gcount()));
    if (std::cin.gcount() > most)
        input.reason = "it is larger than 8 MiB";
    return input;
}

/// The main file, or a text in its name.
const Node* Loader::load_main(const Place& start) {
    if (options_.text_from.empty())
        return documents_.load(file_, start);
    problems_.know_file(file_.string());
    const FileText input =
        options_.text_from == "-" ? read_standard_input() : read_text_file(options_.text_from);
    if (!input.reason.empty()) {
        problems_.error(start, "cannot read the file: " + input.reason);
        return nullptr;
    }
    std::size_t values = 0;
    std::optional<Node> root = parse_yaml(input.text, documents_.keep(file_.string()), values, problems_);
    return root && documents_.count(values, start) ? documents_.keep(std::move(*root)) : nullptr;
}

bool Loader::read_main() {
    const Place start{file_.string(), 1, 1};
    config_.file = file_;
    const Node* root = load_main(start);
    if (!root)
        return false;
    if (!root->is_map()) {
        problems_.error(
            root->place(),
            root->is_null()
                ? "the file is empty; etc/gateway.yaml shows what can be in it"
                : fmt::format("expected keys such as `sources:` and `devices:`, got {}", root->kind_name()));
        return false;
    }
    included_.insert(real_path(file_));
    Section section("the main file", start, entries_of(*root), main_keys(), problems_);
    section.check_names();
    read_daemon_sections(section, config_, options_, problems_);
    if (const Node* profiles = section.node("profiles"))
        profiles_.add(*profiles);
    add_parts(section, *root);
    if (const Node* include = section.node("include"))
        read_includes(*include);
    for (const Node* pattern : patterns_) // once all of them are known: one may name what another leaves out
        warn_of_unread(*pattern);
    return true;
}

void Loader::add_parts(const Section& section, const Node& root) {
    // `source:` is an error by its name; what is below it is checked as if it were right.
    const Node* sources = section.has("sources") ? section.node("sources") : root.find("source");
    const Node* devices = section.has("devices") ? section.node("devices") : root.find("device");
    parts_.push_back({sources, devices});
}

void Loader::read_includes(const Node& include) {
    if (include.is_scalar())
        include_pattern(include);
    else if (include.is_list())
        for (const Node& pattern : include.children)
            include_pattern(pattern);
    else
        problems_.error(include.place(),
                        fmt::format("include: expected a list of file names, got {}", include.kind_name()));
}

void Loader::include_pattern(const Node& pattern) {
    if (!pattern.is_scalar() || pattern.text.empty()) {
        problems_.error(pattern.place(),
                        fmt::format("include: expected a file name, got {}", pattern.kind_name()));
        return;
    }
    const std::filesystem::path path = beside(*pattern.file, pattern.text);
    if (pattern.text.find_first_of("*?[") == std::string::npos) {
        include_file(path, pattern.place());
        return;
    }
    patterns_.push_back(&pattern);
    glob_t found{};
    const auto is_failure = [](const char*, int error) {
        return error == ENOENT ? 0 : 1;
    };
    // A pattern that fits nothing is no mistake: devices.d may be empty. A folder that cannot be read is:
    // its devices would be gone without a word.
    const int result = ::glob(path.c_str(), 0, is_failure, &found);
    for (std::size_t i = 0; result == 0 && i < found.gl_pathc; ++i)
        include_file(found.gl_pathv[i], pattern.place());
    if (result == GLOB_ABORTED)
        problems_.error(
            pattern.place(),
            fmt::format("include: cannot read a folder of {}; may this user open it?", quote(pattern.text)));
    ::globfree(&found);
}

/// Such a file is told here; true: nothing of it is to be read.
bool Loader::is_damaged(const std::filesystem::path& file, const Place& asked) {
    using Damage = LoadOptions::Damage;
    const FileText text = read_text_file(file);
    const bool is_nothing = text.text.find_first_not_of('\0') == std::string::npos;
    if (!text.reason.empty() || !is_nothing || (text.text.empty() && options_.damage == Damage::error))
        return false;
    const std::string what = fmt::format("{} {}, as a power cut leaves it", file.string(),
                                         text.text.empty() ? "is empty" : "holds nothing but NUL bytes");
    if (options_.damage == Damage::leave_out)
        problems_.warning(asked, what + "; its devices are left out. Write it again, or delete it");
    else
        problems_.error(asked, what + "; write it again, or delete it");
    return true;
}

void Loader::warn_of_unread(const Node& pattern) {
    const std::filesystem::path path = beside(*pattern.file, pattern.text);
    std::filesystem::path folder = path.parent_path();
    while (folder.string().find_first_of("*?[") != std::string::npos)
        folder = folder.parent_path();
    // Beside the main file lie other gateways' files as well: only slips of a name are looked for there.
    const bool is_own =
        real_path(folder) == real_path(file_.parent_path().empty() ? "." : file_.parent_path());
    for (const std::filesystem::path& file : files_below(folder, options_)) {
        const bool is_deeper = file.parent_path() != folder;
        if (included_.count(real_path(file)) != 0 || (is_own && (is_deeper || file.extension() == ".yaml")) ||
            !looks_like_configuration(file))
            continue;
        included_.insert(real_path(file)); // told once, not again for the next pattern
        problems_.warning(
            pattern.place(),
            fmt::format("include: {} is not read, because {} does not name it; {}", file.string(),
                        quote(pattern.text),
                        is_deeper ? "move it up, or add a pattern for its folder"
                                  : "give it a name that ends in .yaml, or take it out of the folder"));
    }
}

void Loader::include_file(const std::filesystem::path& file, const Place& asked) {
    const std::filesystem::path real = real_path(file);
    if (real == real_path(file_)) {
        problems_.error(asked, "include: the file includes itself; name only other files");
        return;
    }
    if (!included_.insert(real).second)
        return; // named by two patterns
    if (is_damaged(file, asked))
        return;
    const Node* root = documents_.load(file, asked);
    if (!root || root->is_null())
        return;
    if (!root->is_map()) {
        problems_.error(root->place(),
                        fmt::format("expected sources, devices or profiles, got {}", root->kind_name()));
        return;
    }
    OtherKeys others;
    others.where_it_goes = [](const std::string& name) {
        const auto same = [&name](const Key& key) {
            return key.name == name;
        };
        const Table keys = main_keys();
        return std::any_of(keys.begin(), keys.end(), same) ? std::string("in the main file") : std::string();
    };
    Section section("an included file", {file.string(), 1, 1}, entries_of(*root), include_keys(), problems_);
    section.check_names(others);
    if (const Node* profiles = section.node("profiles"))
        profiles_.add(*profiles);
    add_parts(section, *root);
}

void Loader::read_devices(const Node& devices, DeviceReader& reader) {
    if (devices.is_map() && (devices.find("csv") || devices.children.empty())) {
        read_fleet_file(devices, reader);
        return;
    }
    if (!devices.is_list()) {
        problems_.error(devices.place(),
                        fmt::format("devices: expected a list (each device begins with a dash) or {{csv: "
                                    "FILE}}, got {}",
                                    devices.kind_name()));
        return;
    }
    for (const Node& item : devices.children) {
        if (item.find("csv"))
            read_fleet_file(item, reader);
        else if (std::optional<DeviceConfig> device = reader.read(item))
            config_.devices.push_back(std::move(*device));
    }
}

void Loader::read_fleet_file(const Node& node, DeviceReader& reader) {
    Section section("the fleet", node.place(), entries_of(node), fleet_keys(), problems_);
    section.check_names();
    std::filesystem::path file;
    section.read("csv", file);
    if (file.empty())
        return;
    const std::optional<FileText> text = documents_.read(file, section.place("csv"));
    if (!text)
        return;
    const std::string* name = documents_.keep(file.string());
    std::vector<Node> rows = read_fleet(text->text, name, problems_);
    const auto count = [](std::size_t sum, const Node& row) {
        return sum + row.children.size();
    };
    if (!documents_.count(std::accumulate(rows.begin(), rows.end(), std::size_t{0}, count),
                          section.place("csv")))
        return;
    for (Node& row : rows)
        if (std::optional<DeviceConfig> device = reader.read(*documents_.keep(std::move(row))))
            config_.devices.push_back(std::move(*device));
}

void Loader::check_use() {
    for (const SourceConfig& source : config_.sources)
        if (!sources_[source.name].is_used && !config_.devices.empty() && problems_.errors() == 0)
            problems_.warning(source.place,
                              fmt::format("source {} is used by no device", quote(source.name)));
    if (config_.devices.empty() && problems_.errors() == 0)
        problems_.warning({file_.string(), 1, 1},
                          "no devices: nothing will be read; add them under `devices`");
}

} // namespace

LoadOptions system_load_options(const std::filesystem::path& file) {
    LoadOptions options;
    // The local one first: it may replace a shipped profile.
    options.profile_directories = {file.parent_path() / "profiles", THINGS_PROFILE_DIR};
    // NOLINTBEGIN(concurrency-mt-unsafe): nobody sets variables
    options.environment = [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value ? std::optional<std::string>(value) : std::nullopt;
    };
    const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
    // For root beside the running service: `check` and `send` see what it sees.
    const char* const of_service = "/run/credentials/kpn-things-gateway.service";
    if (directory != nullptr)
        options.credentials_directory = directory;
    else if (access(of_service, R_OK | X_OK) == 0)
        options.credentials_directory = of_service;
    // NOLINTEND(concurrency-mt-unsafe)
    return options;
}

std::filesystem::path find_control_socket(const std::filesystem::path& file) {
    const std::string name = file.string();
    const std::string text = read_text_file(file).text;
    std::size_t values = 0;
    Problems ignored;
    const std::optional<Node> root = parse_yaml(text, &name, values, ignored);
    const Node* control = root ? root->find("control") : nullptr;
    const Node* socket = control ? control->find("socket") : nullptr;
    if (socket && socket->is_scalar())
        return beside(name, socket->text);
    // Somewhere a bracket is missing, but the line itself may be right.
    const std::size_t at = text.find("socket:");
    const std::size_t begin = at == std::string::npos ? at : text.find_first_not_of(" \"'", at + 7);
    if (root || begin == std::string::npos)
        return Config().control_socket;
    return beside(name, text.substr(begin, text.find_first_of("\"',} \r\n#", begin) - begin));
}

Loaded load(const std::filesystem::path& file, const LoadOptions& options) {
    try {
        return Loader(file, options).run();
    } catch (const std::exception& error) {
        Problems problems;
        problems.error({file.string(), 1, 1}, fmt::format("cannot read the configuration: {}", error.what()));
        Loaded loaded;
        loaded.problems = problems.take();
        return loaded;
    }
}

} // namespace things
