// Values under names that are never used again, found in constant time: a name is a place in a table and how often the
// place had been given before. Values stay where they are in memory as long as they exist.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace pinhole::turn {

/// `Id` is a StrongId of 64 bits, of which 0 is never given; `T` has it as its member `id`.
template <class Id, class T>
class Slots {
  public:
    /// Gives it the name that it has here.
    T& insert(T value) {
        if (free_.empty()) {
            free_.push_back(static_cast<std::uint32_t>(places_.size()));
            places_.emplace_back();
        }
        const auto index = free_.back();
        free_.pop_back();
        auto& place = places_[index];
        place.value = std::make_unique<T>(std::move(value));
        place.value->id = Id{static_cast<std::uint64_t>(++place.turn) << 32 | index};
        ++size_;
        return *place.value;
    }

    [[nodiscard]] T* find(Id id) { return const_cast<T*>(std::as_const(*this).find(id)); }

    [[nodiscard]] const T* find(Id id) const {
        const auto index = static_cast<std::uint32_t>(id.value);
        if (index >= places_.size() || places_[index].turn != id.value >> 32) {
            return nullptr;
        }
        return places_[index].value.get();
    }

    void erase(Id id) {
        if (find(id) != nullptr) {
            const auto index = static_cast<std::uint32_t>(id.value);
            places_[index].value.reset();
            free_.push_back(index);
            --size_;
        }
    }

    /// In the order of their places.
    template <class Visit>
    void for_each(Visit visit) const {
        for (const auto& place : places_) {
            if (place.value) {
                visit(*place.value);
            }
        }
    }

    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    struct Place {
        std::uint32_t turn = 0;
        std::unique_ptr<T> value;
    };

    std::vector<Place> places_;
    std::vector<std::uint32_t> free_;
    std::size_t size_ = 0;
};

}  // namespace pinhole::turn
