"""What the genre guide says: each genre in words, and which genres suit which purpose. All texts are message ids."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from app.errors import N_


class Purpose(enum.StrEnum):
    """What a company labels its recordings for."""

    MARKETING = "marketing"
    EDUCATION = "education"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Description:
    """``sound``: how to recognise the genre by ear. ``beware``: what it is easily taken for."""

    sound: str
    beware: str


@dataclass(frozen=True, slots=True)
class Use:
    """Genres that suit a task, and an everyday example of it."""

    task: str
    genres: tuple[str, ...]
    instance: str


DESCRIPTIONS: dict[str, Description] = {
    "symphony": Description(
        N_(
            "A whole orchestra: strings, woodwind, brass and timpani, from very soft to very loud, without a steady beat."
        ),
        N_("Film music for orchestra, or chamber music with many players."),
    ),
    "opera": Description(
        N_("Trained voices that carry over an orchestra, or the sung theatre of China with its own percussion."),
        N_("Songs for voice and piano, or a symphony with a choir."),
    ),
    "solo": Description(
        N_("One instrument alone, most often a piano, guitar or violin, with the quiet of the room around it."),
        N_("Chamber music in which the other players rest."),
    ),
    "chamber": Description(
        N_("Two to about ten players, one to a part: a string quartet, a piano trio. Every line can be followed."),
        N_("A solo with accompaniment, or a small orchestra."),
    ),
    "pop_vocal_ballad": Description(
        N_("Slow and sung with feeling: a voice in front, piano or strings behind it, growing towards the chorus."),
        N_("Adult contemporary, which is smoother and keeps its beat."),
    ),
    "adult_contemporary": Description(
        N_("Smooth and unhurried: clear vocals, soft keyboards, a gentle beat that never gets in the way."),
        N_("Soft rock, where guitars lead, or a ballad, which is slower."),
    ),
    "teen_pop": Description(
        N_("Bright and simple: young voices, catchy choruses, a danceable beat and shiny synthesisers."),
        N_("Dance pop, which is made for the club first."),
    ),
    "contemporary_dance_pop": Description(
        N_("Today's club sound: a kick on every beat, heavy bass, chopped voices, and drops between the verses."),
        N_("Dance pop, whose sounds are older and whose songs are told from start to end."),
    ),
    "dance_pop": Description(
        N_("A song one can dance to: steady four-to-the-floor drums, synthesiser riffs and a big chorus."),
        N_("Contemporary dance pop, with its heavier bass and its drops."),
    ),
    "classic_indie_pop": Description(
        N_("Jangling guitars and unpolished voices, melodic and a little shy, recorded as if in one's own room."),
        N_("Adult alternative rock, which is louder and more polished."),
    ),
    "chamber_cabaret_and_art_pop": Description(
        N_("Theatrical songs with piano, strings, accordion or brass, in odd forms, told more than sung."),
        N_("Classic indie pop, or opera when the voice is grand."),
    ),
    "soul_or_rnb": Description(
        N_("Supple voices with many turns, warm electric piano and bass, a beat that leans back."),
        N_("Adult contemporary, which is sung straighter."),
    ),
    "adult_alternative_rock": Description(
        N_("Grown-up rock with guitars in the middle: dark colours, mid tempo, words that matter."),
        N_("Classic indie pop when it is quiet, anthemic rock when it is loud."),
    ),
    "uplifting_anthemic_rock": Description(
        N_("Wide and driving: loud guitars, big drums, and choruses for a whole stadium to sing along."),
        N_("Adult alternative rock, which looks inwards."),
    ),
    "soft_rock": Description(
        N_("Rock with its edges rounded: clean guitars, warm organ, harmonies, at walking pace."),
        N_("Adult contemporary, which has fewer guitars."),
    ),
    "acoustic_pop": Description(
        N_("A voice and a strummed acoustic guitar, light percussion at most, close to the microphone."),
        N_("A ballad, which is grander, or classic indie pop with a whole band."),
    ),
}

_EVERY_GENRE = tuple(DESCRIPTIONS)

USES: dict[Purpose, tuple[Use, ...]] = {
    Purpose.MARKETING: (
        Use(
            N_("Short videos and promotion in shops and on the net"),
            ("dance_pop", "contemporary_dance_pop"),
            N_("An unboxing clip gains energy."),
        ),
        Use(
            N_("Brand films, and the opening of an event"),
            ("uplifting_anthemic_rock", "soft_rock"),
            N_("A product launch begins on a high note."),
        ),
        Use(
            N_("Warm content and people's own stories"),
            ("acoustic_pop", "pop_vocal_ballad"),
            N_("An interview with parents, for a learning app."),
        ),
    ),
    Purpose.EDUCATION: (
        Use(
            N_("A course on listening to classical music"),
            ("symphony", "opera", "chamber", "solo"),
            N_("Pupils tell symphony, opera and chamber music apart."),
        ),
        Use(
            N_("How popular styles came about, and feedback on a student's own recording"),
            ("soul_or_rnb", "adult_alternative_rock"),
            N_("A student hears what their demo has in common with a style."),
        ),
        Use(
            N_("A way into styles off the beaten track"),
            ("classic_indie_pop", "chamber_cabaret_and_art_pop"),
            N_("A lesson on songs that do not follow the rules."),
        ),
    ),
    Purpose.ARCHIVE: (
        Use(
            N_("Labelling everything there is"),
            _EVERY_GENRE,
            N_("Upload a whole folder, take the report, and listen only to what is doubtful."),
        ),
    ),
}
