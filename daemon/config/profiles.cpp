// SPDX-License-Identifier: Apache-2.0
#include "config/profiles.hpp"

#include "config/document.hpp"
#include "config/nearest.hpp"
#include "config/section.hpp"
#include "config/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <system_error>

namespace things {

namespace {

std::map<std::string, std::filesystem::path> files_of(const std::vector<std::filesystem::path>& directories) {
    std::map<std::string, std::filesystem::path> files;
    for (const std::filesystem::path& directory : directories) {
        std::error_code error;
        for (const auto& entry : std::filesystem::directory_iterator(directory, error))
            if (entry.path().extension() == ".yaml")
                // emplace keeps the first: earlier directories hide later ones.
                files.emplace(entry.path().stem().string(), entry.path());
    }
    return files;
}

std::string text_of(const Node& body, const char* key) {
    const Node* node = body.find(key);
    return node && node->is_scalar() ? node->text : "";
}

// A node as one line of YAML.
std::string flow_text(const Node& node) {
    if (node.is_null())
        return "null";
    if (node.is_scalar())
        return node.quoted ? yaml_text(node.text) : node.text;
    std::string out;
    for (std::size_t i = 0; i < node.children.size(); ++i) {
        const bool is_value = node.is_map() && i % 2 == 1;
        out += i == 0 ? "" : is_value ? ": " : ", ";
        out += flow_text(node.children[i]);
    }
    return node.is_map() ? fmt::format("{{{}}}", out) : fmt::format("[{}]", out);
}

std::string list_lines(const Node& body, const char* key, const char* title) {
    const Node* list = body.find(key);
    std::string out;
    for (std::size_t i = 0; list && list->is_list() && i < list->children.size(); ++i)
        out += fmt::format("  - {}\n", list->children[i].text);
    return out.empty() ? "" : fmt::format("{}\n{}", title, out);
}

std::string map_lines(const Node& body, const char* key, const char* title) {
    const Node* map = body.find(key);
    std::string out;
    if (!map)
        return out;
    for (const auto& [name, value] : entries_of(*map))
        out += fmt::format("  {}: {}\n", name->text, flow_text(*value));
    return out.empty() ? "" : fmt::format("{}\n{}", title, out);
}

// What stands behind a # that YAML takes for a comment: at the start or after a blank, outside quotes.
std::string comment_of(const std::string& line) {
    char quote = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quote != 0) {
            i += quote == '"' && c == '\\' ? 1U : 0U;
            quote = c == quote ? '\0' : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) {
            const std::size_t text = line.find_first_not_of(" \t", i + 1);
            return text == std::string::npos ? "" : line.substr(text);
        }
    }
    return {};
}

// By line, from 1.
std::map<std::size_t, std::string> comments_of(const std::filesystem::path& file) {
    std::map<std::size_t, std::string> comments;
    std::ifstream in(file);
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); ++number)
        if (std::string comment = comment_of(line); !comment.empty())
            comments.emplace(number, std::move(comment));
    return comments;
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

bool contains(const std::string& text, const std::string& part) {
    return lower(text).find(lower(part)) != std::string::npos;
}

// Most products begin with their maker.
std::string product_text(const ProfileInfo& profile) {
    return profile.maker.empty() || contains(profile.product, profile.maker)
               ? profile.product
               : fmt::format("{} ({})", profile.product, profile.maker);
}

std::string point_lines(const Node& body, const std::filesystem::path& file) {
    // A note is a comment behind the point, which the parser does not keep.
    const std::map<std::size_t, std::string> comments = comments_of(file);
    const Node* list = body.find("points");
    std::string out;
    for (std::size_t i = 0; list && list->is_list() && i < list->children.size(); ++i) {
        const Node& point = list->children[i];
        std::string rest;
        for (const auto& [name, value] : entries_of(point))
            if (name->text != "name" && name->text != "unit")
                rest += fmt::format("  {}: {}", name->text, flow_text(*value));
        const auto note = comments.find(static_cast<std::size_t>(point.place().line));
        out += fmt::format("  {:<28} {:<6}{}{}\n", text_of(point, "name"), text_of(point, "unit"), rest,
                           note == comments.end() ? "" : "  # " + note->second);
    }
    return "Points\n" + out;
}

} // namespace

std::vector<ProfileInfo> list_profiles(const std::vector<std::filesystem::path>& directories,
                                       std::vector<Problem>& problems) {
    Problems found;
    Documents documents(found);
    std::vector<ProfileInfo> list;
    for (const auto& [name, file] : files_of(directories)) {
        const Node* body = documents.load(file, {file.string(), 1, 1});
        if (!body)
            continue;
        if (!body->is_map()) {
            found.error(body->place(), fmt::format("expected a profile, got {}", body->kind_name()));
            continue;
        }
        const Node* points = body->find("points");
        const Node* models = body->find("models");
        list.push_back({name, text_of(*body, "plugin"), text_of(*body, "product"), text_of(*body, "maker"),
                        text_of(*body, "category"), models ? flow_text(*models) : "", file,
                        points && points->is_list() ? points->children.size() : 0});
    }
    problems = found.take();
    return list;
}

std::string show_profile(const std::vector<std::filesystem::path>& directories, const std::string& name,
                         std::string& hint) {
    const std::map<std::string, std::filesystem::path> files = files_of(directories);
    const auto found = files.find(name);
    if (found == files.end()) {
        std::vector<std::string_view> names;
        names.reserve(files.size());
        for (const auto& [known, file] : files)
            names.push_back(known);
        hint = nearest(name, names);
        return {};
    }
    Problems problems;
    Documents documents(problems);
    const Node* body = documents.load(found->second, {found->second.string(), 1, 1});
    if (!body || !body->is_map())
        return {};
    return fmt::format("{}: {}\n{}\n", name, text_of(*body, "product"), found->second.string()) +
           fmt::format("Maker: {}\nPlugin: {}\n", text_of(*body, "maker"), text_of(*body, "plugin")) +
           list_lines(*body, "models", "Models") + list_lines(*body, "documents", "Made from") +
           map_lines(*body, "link", "Link as it leaves the factory") +
           map_lines(*body, "device", "Settings of the device (override them in yours)") +
           list_lines(*body, "quirks", "Worth knowing") + point_lines(*body, found->second);
}

std::vector<ProfileInfo> find_profiles(std::vector<ProfileInfo> profiles,
                                       const std::vector<std::string>& words) {
    const auto has = [](const ProfileInfo& profile, const std::string& word) {
        return contains(profile.name, word) || contains(profile.product, word) ||
               contains(profile.maker, word) || contains(profile.category, word) ||
               contains(profile.models, word);
    };
    std::vector<ProfileInfo> found;
    for (ProfileInfo& profile : profiles)
        if (std::all_of(words.begin(), words.end(),
                        [&](const std::string& word) { return has(profile, word); }))
            found.push_back(std::move(profile));
    return found;
}

std::string profile_list_text(const std::vector<ProfileInfo>& profiles) {
    std::size_t name = 0, category = 0;
    for (const ProfileInfo& profile : profiles) {
        name = std::max(name, profile.name.size());
        category = std::max(category, profile.category.size());
    }
    std::string out;
    for (const ProfileInfo& profile : profiles)
        out += fmt::format("{:<{}}  {:>3} points  {:<{}}  {}\n", profile.name, name, profile.points,
                           profile.category, category, product_text(profile));
    return out;
}

std::string profile_list_json(const std::vector<ProfileInfo>& profiles) {
    std::vector<std::string> items;
    items.reserve(profiles.size());
    for (const ProfileInfo& profile : profiles)
        items.push_back(fmt::format(
            R"({{"name":{},"plugin":{},"product":{},"maker":{},"category":{},"points":{},"file":{}}})",
            json_text(profile.name), json_text(profile.plugin), json_text(profile.product),
            json_text(profile.maker), json_text(profile.category), profile.points,
            json_text(profile.file.string())));
    return fmt::format("[{}]\n", fmt::join(items, ","));
}

} // namespace things
