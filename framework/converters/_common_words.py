"""Common English words of five letters and more: what is not among them, and often in a corpus, is the corpus's own."""

from __future__ import annotations

_COMMON = frozenset(
    "ability able about above accept accident account across action active actual address adult advance advice affair "
    "afraid after afternoon again against agree ahead allow almost alone along already also although always among amount "
    "ancient anger angry animal annual another answer anybody anyone anything anyway apart appear apple approach area "
    "argue around arrange arrive article aside asleep attack attempt attend attention autumn avail available average "
    "avoid awake aware away badly balance basic basis battle beach beautiful beauty became because become before began "
    "begin beginning begun behave behind being believe belong below beneath beside best better between beyond birth black "
    "blame blind block blood board bottle bottom bound brain branch brave bread break breath bridge brief bright bring "
    "broad broken brother brought brown build building built burn business busy butter button cable called camera cannot "
    "capital captain careful carry catch caught cause center central centre century certain chain chair chance change "
    "character charge cheap check chest chief child children choice choose chose chosen church circle citizen civil claim "
    "class clean clear clever climb clock close closed cloth clothes cloud coast coffee collect color colour column come "
    "comfort coming command common community company compare complete computer concern condition consider contain content "
    "continue control cool copy corner correct cost could count country couple courage course cover create cross crowd "
    "culture current custom daily damage dance danger daughter deal dear death decide decision deep degree demand depend "
    "describe desert design desire detail develop difference different difficult dinner direct direction discover discuss "
    "disease distance divide doctor document dollar double doubt down dozen dream dress drink drive driver during early "
    "earth easily eastern easy economy education effect effort eight either electric else employ empty enemy energy engine "
    "english enjoy enough enter entire entirely equal escape especially even evening event every everybody everyone "
    "everything evidence exact exactly example except exchange excite exercise exist expect experience explain express "
    "extra fact fail fair faith fall false familiar family famous farm farmer fashion father favorite favour favourite "
    "fear feeling fellow field fifteen fifth fifty fight figure fill final finally find fine finger finish fire first "
    "five float floor flower follow foot force foreign forest forget forgot form former forth forward fought found four "
    "fourth free freedom fresh friday friend front fruit full fully funny further future game garden gather gave general "
    "gentle given glad glass goal going gold gone good government grade grand grass gray great green ground group grow "
    "growth guess guide habit half hand handle happen happy hard hardly health hear heard heart heat heavy height held "
    "hello help here herself high himself history hold hole home honest honor hope horse hospital hotel hour house "
    "however huge human hundred hungry hurry husband idea imagine important improve inch include income increase indeed "
    "industry inform information inside instead interest into iron island issue itself join journey judge jump just keep "
    "kept kill kind king kitchen knew know knowledge known labor labour lack lady lake land language large last late "
    "later latter laugh law lead leader learn least leave left length less lesson letter level library life light like "
    "likely limit line list listen little live local long look lose loss lost loud love lower luck lunch machine main "
    "major make maker making manage manner march mark market marry master match material matter maybe meal mean meaning "
    "measure meat medical meet meeting member memory mention message metal method middle might mile military milk million "
    "mind minute miss mistake modern moment monday money month moon moral more morning most mother motion mountain mouth "
    "move movement much music must myself name narrow nation national nature near nearly necessary neck need neighbor "
    "neighbour neither never newspaper next nice night nobody noise none normal north northern nose note nothing notice "
    "number object ocean offer office officer often once one only open operate opinion opposite order ordinary organ other "
    "others otherwise ought ourselves outside over page pain paint pair paper parent park part particular party pass past "
    "path patient pattern peace people percent perfect perform perhaps period person personal phone picture piece place "
    "plain plan plane plant plate play player please pleasure plenty pocket point police policy political poor popular "
    "population position possible possibly post pound power practice prepare present president press pretty prevent price "
    "prince principle print prison private prize probable probably problem process produce product program programme "
    "progress promise proper protect proud prove provide public pull purpose push quality quarter queen question quick "
    "quickly quiet quite radio railway rain raise range rapid rate rather reach read reader ready real really reason "
    "receive recent recently record red reduce refer regard region regular relate relation relief religion remain remark "
    "remember remove repair repeat replace reply report represent request require rest result return rich ride right "
    "ring rise river road rock role roll room root rough round royal rule safe safety said sail sale salt same sand "
    "saturday save saw scale scene school science score sea search season seat second secret section see seed seek seem "
    "seen sell send sense sent sentence separate serious serve service set settle seven seventh several shade shake shall "
    "shape share sharp sheet ship shirt shoe shoot shop shore short should shoulder shout show side sight sign silence "
    "silent silver similar simple simply since single sister situation six sixth size skill skin sleep slight slow slowly "
    "small smart smell smile smoke smooth snow social society soft soldier solve some somebody someone something sometimes "
    "somewhat somewhere song soon sorry sort sound source south southern space speak special specific speech speed spend "
    "spent spirit spoke sport spot spread spring square staff stage stand standard start state statement station stay "
    "step still stock stone stood stop store storm story straight strange stranger street strength strike strong student "
    "study stuff subject success such sudden suddenly suffer sugar suggest suit summer sunday supply support suppose sure "
    "surface surprise sweet swim system table take taken talk task taste taught teach teacher team tear tell ten term test "
    "than thank that their them themselves then there therefore these they thick thin thing think third thirty this those "
    "though thought thousand thread three threw through throughout throw thursday thus ticket time tiny tired title today "
    "together told tomorrow tonight took tool tooth top total touch toward towards tower town track trade train travel "
    "treat tree trial tried trip trouble true truly trust truth try tuesday turn twelve twenty twice type uncle under "
    "understand understood unit until upon upper upward used useful usual usually valley value various very view village "
    "visit voice wait walk wall want war warm wash watch water wave weak wear weather wednesday week weight welcome well "
    "went western what whatever wheel when whenever where wherever whether which whichever while white whole whom whose "
    "wide wife wild will willing wind window winter wish with within without woman women wonder wood word work worker "
    "world worry worse worst worth would wound write writer writing written wrong wrote yard year yellow yesterday yield "
    "young yours yourself zero above being doing having themselves become include including provide provided require "
    "required during refer given whole shown sent makes following follows based using under least either along".split()
)
_ENDINGS = (
    "ingly",
    "edly",
    "ness",
    "ment",
    "ings",
    "ers",
    "ies",
    "ied",
    "ing",
    "est",
    "ily",
    "es",
    "ed",
    "er",
    "ly",
    "s",
    "d",
)


def is_common(word: str) -> bool:
    """Whether a lower-case word, or what it is an inflection of, is common English."""
    if word in _COMMON:
        return True
    for ending in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem != word and (stem in _COMMON or f"{stem}e" in _COMMON or f"{stem}y" in _COMMON):
            return True
        if stem != word and len(stem) > 3 and stem[-1] == stem[-2] and stem[:-1] in _COMMON:
            return True
    return False
