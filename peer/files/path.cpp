#include "peer/files/path.hpp"

#include "common/base/encoding.hpp"
#include "peer/files/errors.hpp"
#include "peer/files/limits.hpp"

#include <fmt/format.h>

namespace pinhole::files {

namespace {

bool is_safe(std::string_view component) {
    return !component.empty() && component.size() <= kMaxName && component != "." && component != ".." &&
           component.find('/') == std::string_view::npos && component.find('\0') == std::string_view::npos;
}

/// Where the extension starts, or the size of the name. What is long, has spaces or starts the name is part of the
/// name.
std::size_t extension_of(std::string_view name) {
    constexpr std::size_t kLongest = 16;
    const auto dot = name.rfind('.');
    const bool extension = dot != std::string_view::npos && dot > 0 && name.size() - dot <= kLongest &&
                           name.find(' ', dot) == std::string_view::npos;
    return extension ? dot : name.size();
}

}  // namespace

Status check_path(std::span<const std::string> components) {
    std::size_t size = 0;
    for (const auto& component : components) {
        if (!is_safe(component)) {
            return fail(Errc::unsafe_name, printable(join_path(components).substr(0, kMaxName)));
        }
        size += component.size() + 1;
    }
    if (components.empty() || components.size() > kMaxDepth || size > kMaxPath) {
        return fail(Errc::unsafe_name, printable(join_path(components).substr(0, kMaxName)));
    }
    return {};
}

std::string join_path(std::span<const std::string> components) {
    std::string path;
    for (const auto& component : components) {
        if (!path.empty()) {
            path += '/';
        }
        path += component;
    }
    return path;
}

std::string numbered_name(std::string_view name, unsigned number) {
    if (number == 0) {
        return std::string{name};
    }
    const auto dot = extension_of(name);
    const auto extension = name.substr(dot);
    const auto suffix = fmt::format(" ({})", number);
    auto stem = name.substr(0, dot);
    if (stem.size() + suffix.size() + extension.size() > kMaxName) {
        const bool text = is_utf8(stem);
        stem = stem.substr(0, kMaxName - suffix.size() - extension.size());
        while (text && !is_utf8(stem)) {
            stem.remove_suffix(1);
        }
    }
    return fmt::format("{}{}{}", stem, suffix, extension);
}

}  // namespace pinhole::files
