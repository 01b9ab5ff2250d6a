// Line icons, 20 × 20.
import type { ComponentChildren } from 'preact';

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const Mark = () => (
  <svg class="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
    <path d="M5 25C8 13 12 9 16.500 9S25 13 27 25" class="mark-arc" />
    <circle cx="16.500" cy="8.500" r="3.800" class="mark-dot" />
  </svg>
);
export const SendIcon = () => (
  <Icon>
    <path d="M10 16V4.500M5 9.200l5-5 5 5" />
  </Icon>
);
export const StopIcon = () => (
  <Icon>
    <rect x="5.500" y="5.500" width="9" height="9" rx="1.500" class="solid" />
  </Icon>
);
export const NewIcon = () => (
  <Icon>
    <path d="M10 4.500v11M4.500 10h11" />
  </Icon>
);
export const ListIcon = () => (
  <Icon>
    <path d="M3.500 5.500h13M3.500 10h13M3.500 14.500h8" />
  </Icon>
);
export const SettingsIcon = () => (
  <Icon>
    <path d="M3.500 6.500h7M14.500 6.500h2M3.500 13.500h2M9.500 13.500h7" />
    <circle cx="12.500" cy="6.500" r="2" />
    <circle cx="7.500" cy="13.500" r="2" />
  </Icon>
);
export const CloseIcon = () => (
  <Icon>
    <path d="m5.500 5.500 9 9m0-9-9 9" />
  </Icon>
);
export const CopyIcon = () => (
  <Icon>
    <rect x="7.500" y="7.500" width="8.500" height="8.500" rx="2" />
    <path d="M12.500 4.900V4.500a1.500 1.500 0 0 0-1.500-1.500H5.500A2.500 2.500 0 0 0 3 5.500V11a1.500 1.500 0 0 0 1.500 1.500h.4" />
  </Icon>
);
export const CheckIcon = () => (
  <Icon>
    <path d="m4.500 10.500 3.500 3.500 7.500-8" />
  </Icon>
);
export const AgainIcon = () => (
  <Icon>
    <path d="M15.800 8.200A6.200 6.200 0 1 0 16.200 11M16.500 4v4.500H12" />
  </Icon>
);
export const FileIcon = () => (
  <Icon>
    <path d="M11.500 2.800H6A1.500 1.500 0 0 0 4.500 4.300v11.400A1.500 1.500 0 0 0 6 17.200h8a1.500 1.500 0 0 0 1.500-1.500V6.800z" />
    <path d="M11.500 2.800v4h4" />
  </Icon>
);
export const PreviousIcon = () => (
  <Icon>
    <path d="m12 5-5 5 5 5" />
  </Icon>
);
export const NextIcon = () => (
  <Icon>
    <path d="m8 5 5 5-5 5" />
  </Icon>
);
export const EditIcon = () => (
  <Icon>
    <path d="M4 16l.700-3.200L13 4.500a1.600 1.600 0 0 1 2.300 2.300L7 15.200 4 16z" />
  </Icon>
);
